"""The service that README shows is the example's file, whole."""

from __future__ import annotations

import documents
from nearmetal.paths import source_root


def test_the_readme_shows_the_smallest_service() -> None:
    shown = documents.shown("README.md", '"""The smallest service')
    assert shown == (source_root() / "examples/hello.py").read_text(encoding="utf-8")
