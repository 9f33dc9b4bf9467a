"""The model itself: time, eviction, admission. tests/wire tests its protocol."""

from __future__ import annotations

import pytest

from nearmetal.errors import BadInputError
from nearmetal.kv.admission import admission
from nearmetal.kv.model import ITEM_BYTES, Model

NOW_S = 1_800_000_000
FRAME = b"\0\1\0\0\0\1\0\0"


def ask(model: Model, body: bytes, now_s: int = NOW_S) -> bytes:
    """Return the answer's message, joined."""
    return b"".join(datagram[8:] for datagram in model.handle(FRAME + body, now_s).datagrams)


@pytest.mark.parametrize(
    ("exptime", "last_s"), [(1, 0), (10, 9), (2_592_000, 2_591_999), (NOW_S + 5, 4)]
)
def test_an_item_ends_when_its_second_comes(exptime: int, last_s: int) -> None:
    model = Model(now_s=NOW_S)
    ask(model, b"set a 0 %d 1\r\nx\r\n" % exptime)
    assert ask(model, b"get a\r\n", NOW_S + last_s) == b"VALUE a 0 1\r\nx\r\nEND\r\n"
    assert ask(model, b"get a\r\n", NOW_S + last_s + 1) == b"END\r\n"
    assert model.expired_count == 1


def test_flush_all_waits_and_the_newest_counts() -> None:
    model = Model(now_s=NOW_S)
    ask(model, b"set a 0 0 1\r\nx\r\nflush_all 10\r\nflush_all 20\r\n")
    assert ask(model, b"get a\r\n", NOW_S + 19) != b"END\r\n"
    ask(model, b"set b 0 0 1\r\nx\r\n", NOW_S + 19)
    assert ask(model, b"get a b\r\n", NOW_S + 20) == b"END\r\n"
    ask(model, b"set a 0 0 1\r\nx\r\n", NOW_S + 20)
    assert ask(model, b"get a\r\n", NOW_S + 40) != b"END\r\n"


def test_eviction_takes_the_least_recently_used() -> None:
    item_bytes = 1 + 100 + ITEM_BYTES
    model = Model(memory_bytes=3 * item_bytes, now_s=NOW_S)
    for key in (b"a", b"b", b"c"):
        ask(model, b"set %b 0 0 100\r\n%b\r\n" % (key, b"v" * 100))
    ask(model, b"get a\r\n")
    ask(model, b"set d 0 0 100\r\n%b\r\n" % (b"v" * 100))
    assert sorted(model.items) == [b"a", b"c", b"d"]
    assert model.counts["evictions"] == 1
    assert model.live_bytes == 3 * 101


def test_bytes_are_accounted_for() -> None:
    model = Model(now_s=NOW_S)
    ask(model, b"set a 0 0 2\r\n99\r\nincr a 1\r\nappend a 0 0 3\r\nxyz\r\nset b 0 0 0\r\n\r\n")
    assert model.live_bytes == len(b"a100xyz") + len(b"b")
    ask(model, b"delete a\r\ndelete b\r\n")
    assert (model.live_bytes, len(model.items)) == (0, 0)


def test_rights() -> None:
    rights = admission(["10.0.0.0/8", "fd00::/8"], ["10.0.0.1"], ["10.1.0.0/16"])
    assert rights("10.0.0.1") == (True, True, False)
    assert rights("::ffff:10.1.2.3") == (True, False, True)
    assert rights("fd00::1%lo") == (True, False, False)
    assert rights("11.0.0.1") == (False, False, False)
    assert admission(["10.0.0.0/8"])("10.9.9.9").trusted


@pytest.mark.parametrize("text", ["", "10.0.0.0/33", "10.0.0/8", "localhost"])
def test_no_network(text: str) -> None:
    with pytest.raises(BadInputError, match="not a network"):
        admission([text])
