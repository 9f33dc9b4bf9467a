"""The file of records that the generator asks: requests, and the replies that are right.

The generator's load `replay` reads it. The definition of its layout, which begins with a header and
has every record in whole units of 16 bytes, is native/tg/loop/replay_file.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nearmetal.errors import BadInputError
from nearmetal.paths import write_whole

MAGIC = b"nmreplay"
VERSION = 1
ALIGN = 16
ID_BYTES = 2
DATAGRAM_BYTES_MAX = 1472  # one frame of 1,500 bytes of IP
FILE_BYTES_MAX = 1 << 30
_HEADER = struct.Struct("<8sIIIHHQ")
_HEAD = struct.Struct("<HHI")


class Places(Protocol):
    """Positions of the 16-bit id, most significant byte first, in each request and reply."""

    @property
    def at(self) -> int: ...

    @property
    def reply_at(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Record:
    """A request, and the reply that is right.

    mask is as long as the reply; a bit of the reply is compared if it is set there. None: all are.
    The two bytes of the id may have any value in each: the generator writes and compares them.
    """

    request: bytes
    reply: bytes
    mask: bytes | None = None


def write(path: Path, records: Iterable[Record], before: Iterable[Record], id: Places) -> None:
    """Write the file whole: records, asked in random order; before, asked first, once, in order.

    BadInputError names the record that cannot be written, and why.
    """
    path = Path(path)
    _check_places(path, id)
    first = list(_parts(path, "before", before, id))
    mix = list(_parts(path, "records", records, id))
    if not mix:
        raise BadInputError(f"{path}: there are no records to ask: give at least one")
    content = b"".join((*first, *mix))
    whole = _HEADER.size + len(content)
    if whole > FILE_BYTES_MAX:
        raise BadInputError(f"{path}: {whole:,} bytes of records; at most 1 GiB: give fewer")
    header = _HEADER.pack(MAGIC, VERSION, len(first), len(mix), id.at, id.reply_at, whole)
    write_whole(path, header + content)


def _check_places(path: Path, id: Places) -> None:
    for name, place in (("at", id.at), ("reply_at", id.reply_at)):
        if not 0 <= place <= DATAGRAM_BYTES_MAX - ID_BYTES:
            raise BadInputError(
                f"{path}: the id's {name}={place} is outside of a datagram of"
                f" {DATAGRAM_BYTES_MAX:,} bytes"
            )


def _parts(path: Path, name: str, records: Iterable[Record], id: Places) -> Iterator[bytes]:
    for number, record in enumerate(records):
        if (wrong := _wrong(record, id)) is not None:
            raise BadInputError(f"{path}: {name}[{number}]: {wrong}")
        yield _packed(record)


def _wrong(record: Record, id: Places) -> str | None:
    """Why a record cannot be asked."""
    if not record.reply:
        return "there is no reply, so an answer could not be told from a loss; leave it out"
    for name, data, at in (
        ("request", record.request, id.at),
        ("reply", record.reply, id.reply_at),
    ):
        if len(data) > DATAGRAM_BYTES_MAX:
            return f"the {name} has {len(data):,} bytes; at most {DATAGRAM_BYTES_MAX:,}"
        if len(data) < at + ID_BYTES:
            return f"the {name} has {len(data)} bytes, too few for the id at {at}"
    if record.mask is not None and len(record.mask) != len(record.reply):
        return f"the mask has {len(record.mask)} bytes, the reply {len(record.reply)}"
    return None


def _packed(record: Record) -> bytes:
    mask = b"\xff" * len(record.reply) if record.mask is None else record.mask
    head = _HEAD.pack(len(record.request), len(record.reply), 0)
    return b"".join(map(_padded, (head + record.request, record.reply, mask)))


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % ALIGN)
