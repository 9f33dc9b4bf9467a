"""Another revision's programs beside ours: what a change did, on a machine whose speed drifts.

Its tree is a folder, or a revision of this clone, which is written out once and kept. It is built
by our own code, and only what stands under test is taken from it: a row's server or image, and what
an image cannot be without. Generator, relay, QEMU and fetched programs are ours on both sides.
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

# They share a page or a command line with what they start, so they are of the same tree.
_STARTERS = (TENDER, INIT)
_SHORT = 10  # digits of a commit
_PROJECT = "project('nearmetal'"  # in the meson.build of every tree of ours

Row = tuple[str, Service]  # name of a rung, and a service


@dataclass(frozen=True)
class Tree:
    """Another tree of nearmetal."""

    root: Path
    name: str  # short commit, with -dirty where files are changed; or the folder's
    commit: str | None
    dirty: bool


def found(text: str) -> Tree:
    """--against: a folder that holds nearmetal, else a revision of this clone."""
    folder = Path(text)
    if text and _is_ours(folder / "meson.build"):
        return _of_folder(folder.resolve())
    root = source_root()
    if shutil.which("git") is None:
        raise BadInputError(
            f"--against {text}: no folder with nearmetal, and no git here to find a revision;"
            " install git, or give another clone or an unpacked tree"
        )
    if not _is_clone(root):
        raise BadInputError(
            f"--against {text}: no folder with nearmetal, and {root}, which is no git clone, has no"
            " revisions"
        )
    sha = git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{text}^{{commit}}")
    if not sha:
        folders = "a folder without nearmetal" if folder.is_dir() else "no folder"
        raise BadInputError(f"--against {text}: no revision of this clone, and {folders}")
    if _PROJECT not in (git(root, "show", f"{sha}:meson.build") or ""):
        raise BadInputError(f"--against {text}: {sha[:_SHORT]} holds no programs of nearmetal")
    return Tree(_written_out(root, sha), sha[:_SHORT], sha, dirty=False)


def under_test(rung: Rung, service: Service) -> list[str]:
    """What of a row is compiled of a tree and stands under test; nothing, where it comes from
    elsewhere."""
    program = program_of(rung, service)
    if rung.absent is not None or not program.startswith("nm-"):
        return []
    return [program, *(name for name in programs_beside(rung) if name in _STARTERS)]


def beside(ours: Build, tree: Tree, spec: Spec, progress: Callable[[str], None]) -> Build:
    """Ours, and with it what the other tree has of the same rows."""
    names = {
        name
        for row in spec.rungs
        for service in row.services
        for name in under_test(row.rung, service)
    }
    try:
        built = programs.build(
            sorted(names), progress=lambda what: progress(f"{tree.name}: {what}"), tree=tree.root
        )
    except NearmetalError as error:
        raise NearmetalError(f"--against {tree.name}: {error}") from error
    known = {"name": tree.name, "commit": tree.commit, "dirty": tree.dirty}
    return ours.model_copy(update={"against": built.model_copy(update=known)})


def swapped(build: Build) -> Build:
    """What the other's trials are made with: its programs under test, all else as it is."""
    other = build.against
    assert other is not None
    return build.model_copy(
        update={"name": other.name, "programs": build.programs | other.programs}
    )


def pairs(spec: Spec, build: Build) -> dict[Row, str | None]:
    """Of each row, where there is another tree, why there is nothing to pair it with; None: it is
    paired."""
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
        return "nothing of it is compiled, so that both would be the same"
    lacking = [name for name in names if name not in other.programs]
    reasons = (other.missing.get(name, f"{name} was not built") for name in lacking)
    return "; ".join(f"{other.name}: {reason}" for reason in reasons) or None


def _is_ours(path: Path) -> bool:
    return path.is_file() and _PROJECT in path.read_text("utf-8", "replace")


def _is_clone(root: Path) -> bool:
    """Whether the folder is the top of a git clone, and not a folder inside another one."""
    top = git(root, "rev-parse", "--show-toplevel")
    return bool(top) and Path(str(top)).resolve() == root.resolve()


def _of_folder(root: Path) -> Tree:
    sha = git(root, "rev-parse", "HEAD") if _is_clone(root) else None
    if not sha:
        return Tree(root, root.name, None, dirty=False)
    dirty = bool(git(root, "status", "--porcelain"))
    return Tree(root, sha[:_SHORT] + ("-dirty" if dirty else ""), sha, dirty)


def _written_out(root: Path, sha: str) -> Path:
    """The tree of a commit: whole or not at all, and the second time it is there."""
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
        raise NearmetalError(f"--against: {argv[0]} cannot write the tree out: {said}")
