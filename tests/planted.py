"""A copy of the tree with an addition, as a contributor would make it: the file itself, its row and
its section of the documents. The copy can list all files that were changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import tool
from nearmetal.paths import source_root

# The files of tests/wire that any datapath must pass.
WIRE_TESTS = ("test_corpus", "test_differential", "test_liar", "test_programs")

_LEFT_OUT = shutil.ignore_patterns(".git", "runs", "__pycache__", ".*_cache", ".hypothesis")


@dataclass(frozen=True)
class Tree:
    """The copy of the tree."""

    root: Path

    def add(self, name: str, text: str) -> None:
        """Add a new file."""
        assert not (self.root / name).exists(), name
        (self.root / name).write_text(text, encoding="utf-8")

    def append(self, name: str, text: str) -> None:
        """Append lines to a file."""
        with (self.root / name).open("a", encoding="utf-8") as file:
            file.write(text)

    def changed(self) -> set[str]:
        """Return the files that differ from the original, or are missing in it."""
        original = source_root()
        return {name for name in _files(self.root) if _differs(self.root / name, original / name)}

    def run(self, *words: str) -> tool.Finished:
        """Run a Python module with the copy's package: `nearmetal list`, `pytest -k planted`."""
        return self.python("-m", *words)

    def python(self, *arguments: str) -> tool.Finished:
        """Run Python with the copy's package."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=tool.RUN_S,
            check=False,
        )

    def _environment(self) -> Mapping[str, str]:
        """Return this environment, without the variables for pytest's workers."""
        kept = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
        return {**kept, "PYTHONPATH": str(self.root / "src"), "COLUMNS": "200"}


def tree(folder: Path) -> Tree:
    """Copy the current tree to a folder that does not exist."""
    shutil.copytree(source_root(), folder, ignore=_LEFT_OUT)
    for name in _files(folder):
        if not (source_root() / name).exists():  # a file that another test had there for a moment
            (folder / name).unlink()
    return Tree(folder)


def datapath(copy: Tree, like: str, name: str) -> None:
    """Add a datapath: a copy of another one's file, its row, its section."""
    source = (copy.root / f"native/datapath/{like}.c").read_text(encoding="utf-8")
    own = f'datapath_name[] = "{like}"'
    assert own in source
    copy.add(f"native/datapath/{name}.c", source.replace(own, f'datapath_name[] = "{name}"'))
    table = "src/nearmetal/spec/datapaths"
    rows = (copy.root / table).read_text(encoding="utf-8").splitlines()
    (row,) = (row for row in rows if row.split()[:1] == [like])
    copy.append(table, f"{name} {' '.join(row.split()[1:])}\n")
    places = row.split()[4].split(",")
    rungs = ", ".join(f"`{place}-{name}`" for place in places)
    copy.append("docs/rungs.md", f"\n## {name}\n\n{rungs}: as `{like}`.\n")


def _files(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]


def _differs(one: Path, other: Path) -> bool:
    return not other.exists() or one.read_bytes() != other.read_bytes()
