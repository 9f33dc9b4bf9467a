"""The archive that a kernel unpacks, read back by the rules of the format."""

from __future__ import annotations

import stat
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from nearmetal.dut import cpio

NAMES = st.text("abcdefghij/._-", min_size=1, max_size=40)


def _read(data: bytes) -> Iterator[tuple[str, list[int], bytes]]:
    """Return name, the 13 numbers and content of each entry."""
    at = 0
    while True:
        assert at % 4 == 0 and data[at : at + 6] == b"070701"
        numbers = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        size, name_bytes = numbers[6], numbers[11]
        name = data[at + 110 : at + 110 + name_bytes]
        assert name.endswith(b"\0")
        start = (at + 110 + name_bytes + 3) // 4 * 4
        yield name[:-1].decode(), numbers, data[start : start + size]
        if name == b"TRAILER!!!\0":
            return
        at = (start + size + 3) // 4 * 4


@given(st.dictionaries(NAMES, st.binary(max_size=50), max_size=6))
def test_what_is_put_in_comes_out(files: dict[str, bytes]) -> None:
    data = cpio.archive([cpio.file(name, content) for name, content in files.items()])
    found = [(name, content) for name, _, content in _read(data)]
    assert found == [*files.items(), ("TRAILER!!!", b"")]


def test_each_kind() -> None:
    entries = [
        cpio.folder("dev"),
        cpio.character_device("dev/console", 5, 1),
        cpio.file("init", b"x", executable=True),
        cpio.file("order", b"y"),
    ]
    dev, console, init, order, end = (numbers for _, numbers, _ in _read(cpio.archive(entries)))
    assert stat.filemode(dev[1]) == "drwxr-xr-x" and dev[4] == 2
    assert stat.filemode(console[1]) == "crw-------" and console[9:11] == [5, 1]
    assert stat.filemode(init[1]) == "-rwxr-xr-x" and stat.filemode(order[1]) == "-rw-r--r--"
    assert len({numbers[0] for numbers in (dev, console, init, order)}) == 4
    assert end[1] == 0


def test_the_same_entries_make_the_same_bytes() -> None:
    assert cpio.archive([cpio.file("a", b"1")]) == cpio.archive([cpio.file("a", b"1")])
