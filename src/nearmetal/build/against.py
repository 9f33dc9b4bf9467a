"""Build another revision's programs, to measure a change on a machine whose speed drifts.

The other tree is a folder, or a revision of this clone, which is written out once and kept. This
revision's code builds it, and only programs under test are taken from it: a row's server or image,
and the program that starts the image. Generator, relay, QEMU and fetched programs are those of this
revision on both sides. Only a null responder, whose rate is the generator's, is also asked by the
other tree's generator.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nearmetal.build import meson, programs
from nearmetal.build.programs import Build, git
from nearmetal.errors import BadInputError, NearmetalError
from nearmetal.machine.processes import surroundings
from nearmetal.paths import cache_dir, source_root
from nearmetal.spec.experiment import Spec
from nearmetal.spec.programs import INIT, TENDER, program_of, programs_beside
from nearmetal.spec.rungs import Rung, Service
from nearmetal.topology import known

# These share a memory page or a command line with the image they start: use the same tree for both.
_STARTERS = (TENDER, INIT)
_SHORT = 10  # digits of a commit
_PROJECT = "project('nearmetal'"  # in the meson.build of every nearmetal tree

Row = tuple[str, Service]  # name of a rung, and a service


@dataclass(frozen=True)
class Tree:
    """Another tree of nearmetal."""

    root: Path
    name: str  # short commit, with -dirty where files are changed; or the folder's name
    commit: str | None
    dirty: bool


def found(text: str) -> Tree:
    """Return the tree of --against: a folder that holds nearmetal, or a revision of this clone.

    Raises BadInputError: neither, or no revision can be looked up here.
    """
    folder = Path(text)
    if text and _is_ours(folder / "meson.build"):
        return _of_folder(folder.resolve())
    root = source_root()
    if shutil.which("git") is None:
        raise BadInputError(
            f"--against {text}: no folder with nearmetal, and git is missing to find a revision;"
            " install git, or give another clone or an unpacked tree"
        )
    if not _is_clone(root):
        raise BadInputError(
            f"--against {text}: no folder with nearmetal, and {root} is no git clone, so it has no"
            " revisions; give a folder"
        )
    sha = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{text}^{{commit}}")
    if not sha:
        folders = "a folder without nearmetal" if folder.is_dir() else "no folder"
        raise BadInputError(f"--against {text}: no revision of this clone, and {folders}")
    if _PROJECT not in (git(root, "show", f"{sha}:meson.build") or ""):
        raise BadInputError(f"--against {text}: {sha[:_SHORT]} holds no programs of nearmetal")
    return Tree(_written_out(root, sha), sha[:_SHORT], sha, dirty=False)


def under_test(rung: Rung, service: Service) -> list[str]:
    """Return the programs under test of a row that a tree compiles; [] if they are not compiled."""
    program = program_of(rung, service)
    if rung.absent is not None or not program.startswith("nm-"):
        return []
    return [program, *(name for name in programs_beside(rung) if name in _STARTERS)]


def generators(rung: Rung) -> list[str]:
    """Return the generators under test with a row: those of its wire if it is a null responder."""
    wires = [wire for wire in known.limited_by(rung.name) if not wire.between_machines]
    return sorted({edition.program for wire in wires for edition in wire.in_turn()})


def beside(ours: Build, tree: Tree, spec: Spec, progress: Callable[[str], None]) -> Build:
    """Return our build with the other tree's build of the same rows as its `against`."""
    names = {
        name
        for row in spec.rungs
        for service in row.services
        for name in [*under_test(row.rung, service), *generators(row.rung)]
    }
    try:
        built = programs.build(
            sorted(names), progress=lambda what: progress(f"{tree.name}: {what}"), tree=tree.root
        )
    except NearmetalError as error:
        raise NearmetalError(f"--against {tree.name}: {error}") from error
    of_tree = {"name": tree.name, "commit": tree.commit, "dirty": tree.dirty}
    return ours.model_copy(update={"against": built.model_copy(update=of_tree)})


def swapped(build: Build, rung: Rung, service: Service) -> Build:
    """Return the build for the other tree's trials of a row: its programs under test, else ours."""
    other = build.against
    assert other is not None
    senders = generators(rung)
    names = {*under_test(rung, service), *senders}
    # An edition that the other tree lacks may not send its load.
    ours = {name: program for name, program in build.programs.items() if name not in senders}
    theirs = {name: program for name, program in other.programs.items() if name in names}
    return build.model_copy(update={"name": other.name, "programs": ours | theirs})


def pairs(spec: Spec, build: Build) -> dict[Row, str | None]:
    """Return for each row why the other tree has no pair for it; None: it has one.

    Empty without another tree.
    """
    if build.against is None:
        return {}
    return {
        (row.rung.name, service): _why_alone(row.rung, service, build.against)
        for row in spec.rungs
        for service in row.services
    }


def _why_alone(rung: Rung, service: Service, other: Build) -> str | None:
    names = under_test(rung, service)
    if not names:
        return "no program of it is compiled, so both sides would be the same"
    senders = generators(rung)
    if senders and not any(name in other.programs for name in senders):
        names += senders[:1]
    lacking = [name for name in names if name not in other.programs]
    reasons = (other.missing.get(name, f"{name} was not built") for name in lacking)
    return "; ".join(f"{other.name}: {reason}" for reason in reasons) or None


def _is_ours(path: Path) -> bool:
    return path.is_file() and _PROJECT in path.read_text("utf-8", "replace")


def _is_clone(root: Path) -> bool:
    """Whether the folder is the top of a git clone, not a folder inside one."""
    top = git(root, "rev-parse", "--show-toplevel")
    return bool(top) and Path(str(top)).resolve() == root.resolve()


def _of_folder(root: Path) -> Tree:
    sha = git(root, "rev-parse", "HEAD") if _is_clone(root) else None
    if not sha:
        return Tree(root, root.name, None, dirty=False)
    dirty = bool(git(root, "status", "--porcelain"))
    return Tree(root, sha[:_SHORT] + ("-dirty" if dirty else ""), sha, dirty)


def _written_out(root: Path, sha: str) -> Path:
    """Return a folder with a commit's tree; write it at the first call, complete or not at all."""
    folder = cache_dir() / "against" / sha
    with meson.alone(folder):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=folder.parent) as made:
                archive, tree = Path(made) / "tree.tar", Path(made) / "tree"
                tree.mkdir()
                _run("git", "-C", str(root), "archive", "--output", str(archive), sha)
                _run("tar", "-xf", str(archive), "-C", str(tree))
                tree.rename(folder)
    return folder


def _run(*argv: str) -> None:
    done = subprocess.run(
        argv,
        env=surroundings.of_programs(os.environ),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode != 0:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise NearmetalError(f"--against: {argv[0]} cannot write out the tree: {said}")
