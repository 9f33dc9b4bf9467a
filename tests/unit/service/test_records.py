"""Files of records: the generator reads what was written, and what it could not ask is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tool
from nearmetal.errors import BadInputError
from nearmetal.service import records
from nearmetal.service.records import DATAGRAM_BYTES_MAX, Record, write


@dataclass(frozen=True)
class Id:
    at: int
    reply_at: int


FIRST = Id(0, 0)
ASKED = Record(b"..ask", b"..answer")


def test_the_layout(tmp_path: Path) -> None:
    path = tmp_path / "records"
    write(path, [Record(b"..a", b"..bcd", b"\0\0\xff\xff\x7f")], [ASKED], Id(0, 1))
    assert path.read_bytes() == (
        b"nmreplay" b"\1\0\0\0" b"\1\0\0\0" b"\1\0\0\0" b"\0\0\1\0" b"\x80\0\0\0\0\0\0\0"
        b"\5\0\x08\0\0\0\0\0..ask\0\0\0" b"..answer\0\0\0\0\0\0\0\0"
        b"\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0\0\0\0\0"
        b"\3\0\5\0\0\0\0\0..a\0\0\0\0\0" b"..bcd\0\0\0\0\0\0\0\0\0\0\0"
        b"\0\0\xff\xff\x7f\0\0\0\0\0\0\0\0\0\0\0"
    )  # fmt: skip


@st.composite
def files(draw: Callable[..., object]) -> tuple[Id, list[Record], list[Record]]:
    places = st.integers(0, 40) | st.just(DATAGRAM_BYTES_MAX - records.ID_BYTES)
    at, reply_at = draw(places), draw(places)
    assert isinstance(at, int) and isinstance(reply_at, int)

    def datagram(place: int) -> st.SearchStrategy[bytes]:
        least = place + records.ID_BYTES
        return st.binary(min_size=least, max_size=min(least + 70, DATAGRAM_BYTES_MAX))

    def masked(parts: tuple[bytes, bytes]) -> st.SearchStrategy[Record]:
        size = len(parts[1])
        masks = st.none() | st.binary(min_size=size, max_size=size)
        return masks.map(lambda mask: Record(*parts, mask))

    each = st.tuples(datagram(at), datagram(reply_at)).flatmap(masked)
    mix, before = draw(st.lists(each, min_size=1, max_size=5)), draw(st.lists(each, max_size=3))
    assert isinstance(mix, list) and isinstance(before, list)
    return Id(at, reply_at), mix, before


@pytest.fixture(scope="module")
def reader() -> str:
    return tool.sanitized_path("print-records")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(files())
def test_the_generator_reads_what_was_written(
    tmp_path_factory: pytest.TempPathFactory,
    reader: str,
    made: tuple[Id, list[Record], list[Record]],
) -> None:
    id, mix, before = made
    path = tmp_path_factory.mktemp("records") / "records"
    write(path, mix, before, id)
    done = subprocess.run([reader, path], capture_output=True, text=True, check=True)
    first, *lines = done.stdout.splitlines()
    assert first == f"{id.at} {id.reply_at} {len(before)} {len(mix)}"
    assert [line.split(" ") for line in lines] == [expected(each, id) for each in (*mix, *before)]


def expected(record: Record, id: Id) -> list[str]:
    """Return a line of print-records: the id is not under the mask."""
    mask = bytearray(record.mask if record.mask is not None else b"\xff" * len(record.reply))
    mask[id.reply_at : id.reply_at + records.ID_BYTES] = bytes(records.ID_BYTES)
    return [record.request.hex(), record.reply.hex(), mask.hex()]


@pytest.mark.parametrize(
    ("record", "id", "told"),
    [
        (Record(b"..", b""), FIRST, "records[1]: there is no reply"),
        (
            Record(b".", b".."),
            FIRST,
            "[1]: the request has 1 bytes, too few for the id at 0",
        ),
        (Record(b"....", b"..."), Id(2, 2), "the reply has 3 bytes, too few for the id at 2"),
        (Record(bytes(1473), b".."), FIRST, "the request has 1,473 bytes; at most 1,472"),
        (Record(b"..", bytes(1473)), FIRST, "the reply has 1,473 bytes; at most 1,472"),
        (Record(b"..", b"..", b"."), FIRST, "the mask has 1 bytes, the reply 2"),
    ],
)
def test_what_cannot_be_asked_is_named(tmp_path: Path, record: Record, id: Id, told: str) -> None:
    path = tmp_path / "records"
    with pytest.raises(BadInputError) as refused:
        write(path, [Record(b"....", b"...."), record], [], id)
    assert told in str(refused.value) and str(path) in str(refused.value)
    with pytest.raises(BadInputError, match=r"before\[0\]: "):
        write(path, [Record(b"....", b"....")], [record], id)
    assert not path.exists()


@pytest.mark.parametrize("id", [Id(-1, 0), Id(0, 1471)])
def test_an_id_outside_is_refused(tmp_path: Path, id: Id) -> None:
    with pytest.raises(BadInputError, match="is outside of a datagram"):
        write(tmp_path / "records", [ASKED], [], id)


def test_a_file_has_records_of_the_mix(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="give at least one"):
        write(tmp_path / "records", [], [ASKED], FIRST)


def test_too_large_a_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "FILE_BYTES_MAX", 100)
    with pytest.raises(BadInputError, match="at most 1 GiB: give fewer"):
        write(tmp_path / "records", [ASKED, ASKED], [], FIRST)
