"""Tables and lines at small widths: optional parts are left out, required parts never."""

from __future__ import annotations

import io

import pytest

from nearmetal.report.layout import Column, columns, kept, line, paragraph, table

HEADS = (
    Column("name"),
    Column("place", spare=2),
    Column("wire", spare=1),
    Column("why", wraps=16),
)
ROWS = [
    ("guest-sock-vhost-net", "Linux in a virtual machine", "vhost-net", "no /dev/vhost-net here"),
    ("host-py", "process", "veth", "yes"),
]


@pytest.mark.parametrize("width", [None, 200, 80, 60, 40, 30, 20])
def test_names_and_answers_stay_whole(width: int | None) -> None:
    lines = list(table(HEADS, ROWS, width))
    text = " ".join(" ".join(lines).split())
    for name, _, _, why in ROWS:
        assert name in text
        assert all(word in text for word in why.split())
    assert "…" not in text
    assert all(len(each) <= (width or len(each)) for each in lines)


def test_what_tells_least_goes_first() -> None:
    assert kept(HEADS, ROWS, None) == kept(HEADS, ROWS, 90) == [0, 1, 2, 3]
    assert kept(HEADS, ROWS, 60) == [0, 2, 3]
    assert kept(HEADS, ROWS, 40) == [0, 3]
    assert kept(HEADS, ROWS, 10) == [0, 3]  # these two are never left out


def test_a_table_without_rows_is_its_head() -> None:
    assert list(table(HEADS, [], 80)) == ["name  place  wire  why"]


def test_a_line_keeps_what_may_not_go() -> None:
    parts = [(0, "1,000 replies/s"), (2, "p99 1 us"), (0, "wrong 0"), (9, "")]
    assert line(parts, None) == line(parts, 40) == "1,000 replies/s  p99 1 us  wrong 0"
    assert line(parts, 30) == line(parts, 5) == "1,000 replies/s  wrong 0"


def test_a_paragraph_breaks_no_word() -> None:
    path = "/a/" + "long" * 10
    assert paragraph(f"see {path} there", 20, indent=2) == ["  see", f"  {path}", "  there"]
    assert paragraph("", 20) == paragraph("", None) == []


def test_columns_tells_the_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert columns(io.StringIO()) == 40
    for nothing in ("", "0", "wide"):
        monkeypatch.setenv("COLUMNS", nothing)
        assert columns(io.StringIO()) is None
