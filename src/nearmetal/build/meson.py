"""Run the build tools: meson and ninja of the venv that runs this program.

A folder that an older tree or another meson configured is configured again where it cannot be
brought up to date. The errors of a tool that fails are always shown.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from nearmetal.build import fetched, sources
from nearmetal.errors import NearmetalError
from nearmetal.machine.processes import killed, process, surroundings
from nearmetal.paths import source_root
from nearmetal.spec.datapaths import datapaths

Variant = Literal["normal", "sanitize", "fuzz"]

_VARIANTS: dict[str, tuple[dict[str, str], list[str]]] = {
    "normal": ({}, []),
    "sanitize": (
        {},
        [
            "-Doptimization=1",  # half the compile time, and correct line numbers in reports
            "-Ddebug=true",
            "-Db_lto=false",
            "-Db_sanitize=address,undefined",
            "-Dc_args=-Wno-stringop-overread",  # false warnings of gcc in instrumented code
            "-Dtest_programs=true",
        ],
    ),
    "fuzz": (
        {"CC": "clang"},
        ["-Dbuildtype=debugoptimized", "-Db_lto=false", "-Db_lundef=false", "-Dfuzz=true"],
    ),
}
_KILLED = re.compile(r"\bKilled\b|\bSIGKILL\b")  # gcc and the shell print this for a killed child
_TELLING = re.compile(r"\b(error|ERROR):|\bundefined reference\b|^FAILED\b")
_SHOWN, _LAST = 40, 20  # lines


def command() -> list[str]:
    """Return meson's command line. Raises NearmetalError: no C compiler or no meson in the venv."""
    if shutil.which("gcc") is None and shutil.which("cc") is None:
        raise NearmetalError("no C compiler: install gcc and libc6-dev, or let ./nearmetal do so")
    try:
        import mesonbuild  # noqa: F401
    except ImportError:
        raise NearmetalError("meson is missing: start with ./nearmetal, which sets it up") from None
    return [sys.executable, "-m", "mesonbuild.mesonmain"]


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a folder's lock: one build at a time; a second one waits, then finds it done."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def configure(
    folder: Path, variant: Variant, tree: Path | None = None, services: Path | None = None
) -> None:
    """Configure a build folder, or bring it up to date with the tree's meson.build files.

    tree: the source tree; None: ours. services: a folder with services of users
    (service/compile/folder.py writes it). Raises NearmetalError.
    """
    tree = tree or source_root()
    meson = command()
    environment, fixed = _VARIANTS[variant]
    lwip = [f"-Dlwip_dir={sources.found(sources.LWIP) or ''}"]
    options = [*fixed, *(lwip if _has_option(tree, "lwip_dir") else [])]
    if services is not None and _has_option(tree, "services_dir"):
        options.append(f"-Dservices_dir={services}")
    stamp = folder / "nearmetal-setup"
    key = "\n".join([sys.executable, *options, *_compiler(environment), *sorted(_optional())])
    if stamp.exists() and stamp.read_text(encoding="utf-8") == key and _regenerated(folder):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    log = folder / "meson-logs" / "meson-log.txt"
    setup = [*meson, "setup", *options, str(folder), str(tree)]
    run(setup, environment, "configure", log)
    stamp.write_text(key, encoding="utf-8")


def _has_option(tree: Path, name: str) -> bool:
    """Whether a tree, which may be older, has a meson option."""
    path = tree / "meson_options.txt"
    return path.is_file() and f"option('{name}'" in path.read_text(encoding="utf-8")


def _regenerated(folder: Path) -> bool:
    """Bring build.ninja up to date; False: the folder does not fit the tree or this meson."""
    done = subprocess.run(
        _chain(["ninja", "-C", str(folder), "build.ninja"]),
        env=_environment({}),
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def _compiler(environment: dict[str, str]) -> list[str]:
    """Return the compiler that PATH finds, its file's size and time, and the library paths.

    If one of these changes everything is compiled again, so that build.json holds for all of it.
    """
    names = (environment.get("CC"), "cc", "gcc")
    found = next(filter(None, (shutil.which(name) for name in names if name)), None)
    libraries = [f"{name}={value}" for name, value in sorted(fetched.pkg_config().items())]
    if found is None:
        return libraries
    program = Path(found).resolve()
    about = program.stat()
    return [f"{found} {program} {about.st_size} {about.st_mtime_ns}", *libraries]


def _optional() -> list[str]:
    """Return the optional tools and libraries that meson will find: a change must reconfigure."""
    tools = [tool for tool in ("bpf-gcc", "clang") if shutil.which(tool)]
    libraries = {"libbpf", "libxdp", *(each.library for each in datapaths() if each.library)}
    return tools + [name for name in sorted(libraries) if has_package(name)]


def has_package(name: str) -> bool:
    """Whether pkg-config finds a library."""
    tool = shutil.which("pkg-config")
    if tool is None:
        return False
    asked = [tool, "--exists", name]
    return subprocess.run(asked, env=_environment({}), check=False).returncode == 0


def package_version(name: str) -> str | None:
    """Return the version of a library that pkg-config finds; None: it finds none."""
    tool = shutil.which("pkg-config")
    if tool is None:
        return None
    asked = [tool, "--modversion", name]
    done = subprocess.run(
        asked, env=_environment({}), capture_output=True, encoding="utf-8", check=False
    )
    return done.stdout.strip() if done.returncode == 0 else None


def targets(folder: Path) -> dict[str, Path]:
    """Return the path of every executable target, by name."""
    return {
        target["name"]: Path(target["filename"][0])
        for target in introspect(folder, "targets")
        if target["type"] == "executable"
    }


def introspect(folder: Path, what: str) -> Any:
    """Return the content of one of meson's introspection files (meson-info/intro-*.json)."""
    path = folder / "meson-info" / f"intro-{what}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def ninja(folder: Path, names: list[str]) -> None:
    """Bring targets up to date. Raises NearmetalError."""
    run(["ninja", "-C", str(folder), *names], {}, "build")


def run(argv: list[str], environment: dict[str, str], what: str, log: Path | None = None) -> None:
    """Run a build tool; if it fails, print the part of its output about the error.

    Raises NearmetalError. log: the file to show where the tool printed nothing.
    """
    before = killed.out_of_memory()
    done = subprocess.run(
        _chain(argv),
        env=_environment(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return
    said = done.stdout.splitlines()
    if not any(line.strip() for line in said) and log is not None and log.exists():
        said = log.read_text(encoding="utf-8", errors="replace").splitlines()
    ending = _ending(what, done.returncode)
    if done.returncode == -signal.SIGKILL or _KILLED.search(done.stdout):
        ending += killed.why(before, less="")
    print("\n".join([*_telling(said), ending]), file=sys.stderr)
    raise NearmetalError(f"cannot {what} the native programs (the tool's output is above)")


def _telling(lines: list[str]) -> list[str]:
    """Return the lines from the first error on, and in any case the last lines."""
    first = next((n for n, line in enumerate(lines) if _TELLING.search(line)), len(lines))
    shown = lines[first : first + _SHOWN]
    rest = lines[max(first + _SHOWN, len(lines) - _LAST) :] if shown else lines[-_LAST:]
    return [*shown, *(["..."] if shown and rest else []), *rest]


def _ending(what: str, status: int) -> str:
    ended = f"exit code {status}" if status >= 0 else signal.Signals(-status).name
    return f"{what} ended with {ended}"


def _chain(argv: list[str]) -> list[str]:
    """Wrap a command so that it is killed when this process ends in any way."""
    return process.chain(argv, process.Where())


def _environment(extra: dict[str, str]) -> dict[str, str]:
    """Return the tools' environment: English messages, which are searched; the venv first."""
    venv = Path(sys.executable).parent
    return {
        **surroundings.of_tools(process.environment()),
        **fetched.pkg_config(),
        **extra,
        "LC_ALL": "C.UTF-8",
        "PATH": f"{venv}:{os.environ.get('PATH', '/usr/bin:/bin')}",
    }
