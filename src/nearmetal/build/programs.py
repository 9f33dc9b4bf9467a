"""Stage 2: build the native programs with meson, and describe each program.

`Build` records what was built, with which compiler and from which commit; it is written to the
run's folder as build.json. A program that cannot be built or found here is in `missing`, with the
reason in words: its rows are skipped, the others run. Unchanged programs are not rebuilt.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pydantic import Field

from nearmetal.build import fetched, guest_kernel, meson, own_services, sources
from nearmetal.build.libraries import libraries, library_bytes
from nearmetal.build.meson import Variant as Variant
from nearmetal.build.own_services import OwnBuilt
from nearmetal.errors import CannotRunError
from nearmetal.machine.processes import surroundings
from nearmetal.machine.vm import qemu
from nearmetal.paths import build_dir, source_root
from nearmetal.samples import Frozen
from nearmetal.spec import datapaths
from nearmetal.spec.programs import GUEST_KERNEL
from nearmetal.spec.services import ServiceRow

_DPDK = "libdpdk"
# The release that images can link (native/uk/lib/dpdk).
_DPDK_OF_IMAGES = "22.11"
_WITH_DPDK = ("nm-load-ethdev",)  # programs that are not DUTs but need DPDK
_WITH_BPF = ("nm-null-xdp", "nm-load-xdp")  # programs that contain an XDP program
_LIBXDP = "libxdp"
_WITH_LIBXDP = ("nm-load-xdp",)


class Program(Frozen):
    """A program that can be started."""

    path: str
    image_bytes: int  # shared libraries included
    sha256: str
    library_path: str | None = None  # LD_LIBRARY_PATH for a fetched program
    libraries: dict[str, str] | None = None  # images only: hash per library (libraries.py)
    library_bytes: dict[str, int] | None = None  # images only: bytes of each library in the image

    def argv(self) -> list[str]:
        """Return the start of its command line."""
        if self.library_path is None:
            return [self.path]
        return ["env", f"LD_LIBRARY_PATH={self.library_path}", self.path]


class Build(Frozen):
    """The programs of a run (build.json)."""

    version: int = 1
    compiler: str
    flags: str
    isa: str
    commit: str | None  # None: not a git clone
    dirty: bool
    folder: str
    programs: dict[str, Program]
    missing: dict[str, str]  # program -> why it is not there
    services: dict[str, OwnBuilt] = Field(default_factory=dict)  # users': how they were made
    name: str | None = None  # set for another tree's build: the tree's name
    against: Build | None = None  # another tree's build, to compare with this one (against.py)


def build(
    wanted: Iterable[str] | None = None,
    *,
    variant: Variant = "normal",
    progress: Callable[[str], None] = lambda _: None,
    tree: Path | None = None,
    own: Sequence[ServiceRow] = (),
) -> Build:
    """Build the wanted programs (None: all) and describe them. Raises NearmetalError.

    tree: the source tree; None: ours. own: users' services, whose programs are wanted too.
    """
    folder = build_dir(variant, tree)
    meson.command()  # before anything is fetched
    with meson.alone(folder):
        everything = wanted is None
        wanted = wanted if wanted is None else list(wanted)
        _fetch(
            progress,
            lwip=everything or any(library_of(name) == sources.LWIP for name in wanted or ()),
            linux=GUEST_KERNEL in (wanted or ()),
            libraries=_packages(None if everything else wanted),
        )
        users = folder.with_name(f"{folder.name}-services")
        made, uncompiled = own_services.write(users, own)
        progress("configuring")
        meson.configure(folder, variant, tree, users)
        targets = meson.targets(folder)
        wanted = [*targets, "memcached", "python"] if wanted is None else wanted
        progress("compiling")
        names = [str(targets[name].relative_to(folder)) for name in wanted if name in targets]
        if everything or names:
            meson.ninja(folder, ["all"] if everything else names)
        kept = {n: own_services.keep(users, targets[n]) for n in _users_of(made, targets, wanted)}
        progress("describing")
        built = _describe(folder, targets | kept, wanted, tree or source_root())
    lacking = {name: _why_uncompiled(name, why, uncompiled) for name, why in built.missing.items()}
    return built.model_copy(update={"missing": lacking, "services": made})


def _why_uncompiled(program: str, why: str, uncompiled: Mapping[str, str]) -> str:
    """Return the reason of a missing program: its service may be the cause."""
    return uncompiled.get(_service_of(program), why)


def _users_of(
    made: Collection[str], targets: Collection[str], wanted: Iterable[str]
) -> Iterator[str]:
    """Yield the wanted programs of users' services."""
    return (name for name in wanted if name in targets and _service_of(name) in made)


def _service_of(program: str) -> str:
    return program.rpartition("-")[2]


def build_c_tests(variant: Variant) -> None:
    """Build only the programs that the C tests of a variant start; for `fuzz` the fuzzers."""
    folder = build_dir(variant)
    meson.command()  # before anything is fetched
    with meson.alone(folder):
        _fetch(lambda _: None, lwip=True, linux=False, libraries=_packages(None))
        meson.configure(folder, variant)
        fuzzers = [
            str(path.relative_to(folder))
            for name, path in meson.targets(folder).items()
            if name.startswith("fuzz-")
        ]
        # Meson's name for all programs that its tests need.
        meson.ninja(folder, fuzzers if variant == "fuzz" else ["meson-test-prereq"])


def _packages(programs: Iterable[str] | None) -> list[str]:
    """Return the packages of the libraries that programs (None: all) link and that are missing."""
    rows = datapaths.datapaths()
    if programs is not None:
        rows = tuple(filter(None, map(datapaths.of_program, programs)))
    packages = {row.package: row.library for row in rows if row.package and row.library}
    return sorted(name for name, library in packages.items() if not meson.has_package(library))


def _fetch(
    progress: Callable[[str], None], *, lwip: bool, linux: bool, libraries: Iterable[str]
) -> None:
    """Fetch the files that programs are compiled with, or that are large.

    Failures are ignored here: each program that lacks the files reports it.
    """
    if fetched.dpdk_wanted() and not fetched.unfit() and not meson.has_package(_DPDK):
        progress("fetching DPDK")
        with contextlib.suppress(CannotRunError):
            fetched.provide("dpdk-testpmd")
    for package in () if fetched.unfit() else libraries:
        progress(f"fetching {package}")
        with contextlib.suppress(CannotRunError):
            fetched.provide_library(package)
    if lwip and sources.found(sources.LWIP) is None:
        progress("fetching lwIP's source")
        with contextlib.suppress(CannotRunError):
            sources.provide(sources.LWIP)
    if linux and not guest_kernel.found():
        progress("fetching a kernel for guests (27 MB)")
        with contextlib.suppress(CannotRunError):
            guest_kernel.provide()


def library_of(program: str) -> str | None:
    """Return the library that one of our programs links besides the C library; None: no library."""
    if program in _WITH_DPDK:
        return _DPDK
    datapath = datapaths.of_program(program)
    return datapath.library if datapath else None


def why_not(program: str) -> str | None:
    """Return why this machine cannot provide a program, without building it; None: it can."""
    if program == "python":
        return None
    if program == qemu.PROGRAM:
        return qemu.why_not()
    if program == GUEST_KERNEL:
        return guest_kernel.why_not()
    if program == "memcached":
        return fetched.why_not(program)
    if program == "dpdk-testpmd":
        return fetched.why_not(program) or (None if fetched.dpdk_wanted() else _without_dpdk())
    if shutil.which("gcc") is None and shutil.which("cc") is None:
        return "no C compiler (package gcc)"
    if program in _WITH_BPF or library_of(program) == _LIBXDP:
        if shutil.which("bpf-gcc") is None and shutil.which("clang") is None:
            return "no compiler for BPF (package gcc-bpf)"
        if not meson.has_package("libbpf"):
            return "no libbpf headers (package libbpf-dev)"
    if program in _WITH_LIBXDP and not meson.has_package(_LIBXDP):
        return "no libxdp here (package libxdp-dev; it is also among DPDK's files)"
    library = library_of(program)
    return library_why_not(library) or _image_why_not(program, library)


def _image_why_not(program: str, library: str | None) -> str | None:
    """Return why an image cannot be linked with the DPDK that is here; None: it can, or no image.

    None too where DPDK is still to be fetched: its release is not known yet.
    """
    if library != _DPDK or not program.startswith("nm-uk-"):
        return None
    version = meson.package_version(_DPDK)
    if version is None or version.startswith(f"{_DPDK_OF_IMAGES}."):
        return None
    return (
        f"an image with DPDK's driver needs DPDK {_DPDK_OF_IMAGES} (Debian 12), and here is"
        f" {version}: native/uk/lib/dpdk repeats structs of that release"
    )


def library_why_not(library: str | None) -> str | None:
    """Return why programs cannot be linked with a library here; None: they can."""
    if library == _DPDK:
        return _without_dpdk()
    if library == sources.LWIP:
        return sources.why_not(library)
    if library is None or library == "python" or meson.has_package(library):
        return None
    if shutil.which("pkg-config") is None:
        return f"no pkg-config to find {library} with (package pkgconf)"
    if shutil.which("apt-get") is not None:
        return fetched.unfit()  # None: its files can be fetched
    return f"no {library} here (package {_package_of(library)})"


def _package_of(library: str) -> str:
    packages = {each.package for each in datapaths.datapaths() if each.library == library}
    return " ".join(sorted(filter(None, packages)))


def _without_dpdk() -> str | None:
    if meson.has_package(_DPDK):
        return None
    if fetched.dpdk_wanted():
        return fetched.unfit()
    return "no DPDK here (package libdpdk-dev, or files that ./nearmetal bench --yes fetches)"


_FUZZED = """
int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size);
int LLVMFuzzerTestOneInput(const unsigned char *data, unsigned long size)
{
    return data == 0 && size > 0;
}
"""


def fuzz_why_not() -> str | None:
    """Return why fuzz targets cannot be built here, by linking a small one; None: they can."""
    if shutil.which("clang") is None:
        return "no clang (package clang)"
    with tempfile.TemporaryDirectory(prefix="nearmetal-") as folder:
        options = ["-fsanitize=fuzzer,address,undefined", "-x", "c", "-", "-o", f"{folder}/fuzzed"]
        done = subprocess.run(
            ["clang", *options],
            env=surroundings.of_tools(os.environ),
            input=_FUZZED,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    if done.returncode == 0:
        return None
    words = " ".join((done.stderr.splitlines() or ["it gives no reason"])[0].split())
    return f"clang lacks the runtime of libFuzzer (package libclang-rt-VERSION-dev): {words}"


def _describe(folder: Path, targets: dict[str, Path], wanted: Iterable[str], tree: Path) -> Build:
    programs: dict[str, Program] = {}
    missing: dict[str, str] = {}
    for name in wanted:
        try:
            there = targets.get(name)
            programs[name] = describe_program(there) if there else foreign(name)
        except CannotRunError as error:
            missing[name] = str(error)
    compiler = meson.introspect(folder, "compilers")["host"]["c"]
    options = {
        option["name"]: option["value"] for option in meson.introspect(folder, "buildoptions")
    }
    return Build(
        compiler=compiler["full_version"],
        flags=f"-O{options['optimization']} lto={options['b_lto']} pie={options['b_pie']}",
        isa=_isa(tree),
        commit=git(tree, "rev-parse", "HEAD"),
        dirty=bool(git(tree, "status", "--porcelain")),
        folder=str(folder),
        programs=programs,
        missing=missing,
    )


def foreign(name: str) -> Program:
    """Return a program that is not built: the machine's own, or fetched. Raises CannotRunError."""
    if name.startswith("nm-"):
        raise CannotRunError(why_not(name) or _not_built(name))
    if name == "python":
        return describe_program(Path(sys.executable).resolve())
    if (reason := why_not(name)) is not None:
        raise CannotRunError(reason)
    if name == qemu.PROGRAM:
        return describe_program(qemu.found())
    if name == GUEST_KERNEL:
        return describe_program(guest_kernel.provide().image)
    path, library_path = fetched.provide(name)
    return describe_program(path, library_path)


def _not_built(name: str) -> str:
    library = library_of(name)
    if library == _DPDK:
        if not meson.has_package(_DPDK):
            return "DPDK is not installed, and its files could not be fetched"
        return "DPDK is here, but linking with it fails (see the build's meson-log.txt)"
    if library == sources.LWIP and sources.found(sources.LWIP) is None:
        return "lwIP's source is missing, and could not be fetched"
    if library is not None and not meson.has_package(library):
        return f"{library} is not installed, and {_package_of(library)} could not be fetched"
    return f"{name} is not in this build"


def describe_program(path: Path, library_path: str | None = None) -> Program:
    """Return a program with its size, shared libraries included, and its hash."""
    total = path.stat().st_size
    for library in _libraries(path, library_path):
        total += library.stat().st_size
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Program(
        path=str(path),
        image_bytes=total,
        sha256=digest,
        library_path=library_path,
        libraries=libraries(path),
        library_bytes=library_bytes(path),
    )


def _libraries(path: Path, library_path: str | None) -> set[Path]:
    environment = surroundings.of_programs(os.environ)
    if library_path:
        environment["LD_LIBRARY_PATH"] = library_path
    done = subprocess.run(
        ["ldd", str(path)],
        env=environment,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )
    found = re.findall(r"(?:=> |^\s+)(/\S.*?) \(0x", done.stdout, re.MULTILINE)
    return {Path(name).resolve() for name in found}


def _isa(tree: Path) -> str:
    """Return the ISA level, which only the tree's meson.build defines."""
    text = (tree / "meson.build").read_text(encoding="utf-8")
    found = re.search(r"^isa = '([^']+)'", text, re.MULTILINE)
    assert found is not None, "meson.build names the ISA level"
    return found.group(1)


def git(tree: Path, *arguments: str) -> str | None:
    """Return the output of git in a tree; None: there is no git, or it fails."""
    try:
        done = subprocess.run(
            ["git", "-C", str(tree), *arguments],
            env=surroundings.of_programs(os.environ),
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
