"""Documents: each link has a target, and each page one title. test_blocks.py checks examples."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
import tree

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
DOCUMENTS = tree.files(".md")


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    for target in LINK.findall(without_code(tree.read(name))):
        if "://" in target or target.startswith(("#", "mailto:")):
            continue
        path = tree.ROOT / PurePosixPath(name).parent / target.split("#")[0]
        assert path.exists(), f"{name}: {target} does not exist"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_one_title(name: str) -> None:
    titles = re.findall(r"^# .*", without_code(tree.read(name)), re.MULTILINE)
    assert len(titles) == 1, f"{name}: titles {titles}"
