"""No file outside of examples, documents and tests names an example: the project knows none."""

from __future__ import annotations

import re

import tree


def test_no_file_names_an_example() -> None:
    names = {name.rpartition("/")[2] for name in tree.files() if name.startswith("examples/")}
    assert names
    pattern = re.compile("|".join(rf"\b{re.escape(name)}\b|examples/" for name in sorted(names)))
    free = ("examples/", "docs/", "tests/", "README.md", "ARCHITECTURE.md", "CHANGELOG.md")
    named = [
        f"{name}: {found[0]}"
        for name in tree.files()
        if not name.startswith(free) and (found := pattern.search(tree.read(name)))
    ]
    assert not named
