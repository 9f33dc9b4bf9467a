"""Expected replies: each request of a service's file, with the reply that CPython gives.

The load asks in random order, at any time, from several sources, of a program with another seed.
So all requests are answered twice here, the second time with all of that changed, and each byte
that differs must be one that the file names as unchecked. Otherwise the answers of a right program
would count as wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from nearmetal.errors import BadInputError
from nearmetal.service import records
from nearmetal.service.ask import Ask
from nearmetal.service.buffers import Source
from nearmetal.service.declaration import ID_BYTES, Id
from nearmetal.service.load import Loaded
from nearmetal.service.records import Record
from nearmetal.service.runner import Outcome, Runner
from nearmetal.service.watch import Watch

REQUEST_BYTES_MAX = records.DATAGRAM_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Expected:
    """The records of a service, and where its id is."""

    before: tuple[Record, ...]  # asked first, once, in order
    mix: tuple[Record, ...]
    id: Id

    @property
    def unchecked_bytes(self) -> float:
        """Bytes of a reply that are not compared, the mean of the mix."""
        free = sum(each.mask.count(0) for each in self.mix if each.mask is not None)
        return free / len(self.mix)

    def write(self, path: Path) -> None:
        """Write the file that the generator reads."""
        records.write(path, self.mix, self.before, self.id)


# How often a request of before may come: the first is sent while the server starts, each other one
# again where it is lost.
FIRST_TIMES, TIMES = 600, 3
CLIENT = Source(bytes(10) + b"\xff\xff\x0a\x00\x00\x02", 40_001)
OTHER_CLIENT = Source(bytes(10) + b"\xff\xff\xc0\xa8\x4d\x03", 51_234)
OTHER_NS = 1_812_345_678_987_654_321
OTHER_SEED = bytes(range(0xA0, 0xB0))
OTHER_ID = 0xA5C3


@dataclass(frozen=True, slots=True)
class Pass:
    """Circumstances in which all requests are answered."""

    reverse: bool = False
    again: bool = False  # requests of before come several times
    now_ns: int = 1_700_000_000_000_000_000
    source: Source = CLIENT
    seed: bytes = bytes(16)
    id: int = 0


FIRST = Pass()
AGAIN = Pass(again=True)
SECOND = Pass(
    reverse=True, again=True, now_ns=OTHER_NS, source=OTHER_CLIENT, seed=OTHER_SEED, id=OTHER_ID
)
# Each change alone, and how a user calls it.
CHANGES = (
    ("the requests of before come again", AGAIN),
    ("the requests come in another order", Pass(reverse=True)),
    ("it is another time", Pass(now_ns=OTHER_NS)),
    ("they come from another source", Pass(source=OTHER_CLIENT)),
    ("the seed is another", Pass(seed=OTHER_SEED)),
    ("the id is another", Pass(id=OTHER_ID)),
)


def expected(loaded: Loaded, *, trusted: bool = False) -> Expected:
    """Return the records of a service's file. BadInputError: it has none, or they cannot be.

    trusted: whether the program takes the load's source for trusted (Runner.answer).
    """
    place = loaded.service.id
    if place is None:
        raise BadInputError(
            f"{loaded.path}: its Service has no id, by which the load matches a reply to its"
            " request; add id=Id(at=0, reply_at=0) with its positions"
        )
    before, mix = asks(loaded, "before"), asks(loaded, "requests")
    if not mix:
        raise BadInputError(
            f"{loaded.path}: there are no requests to send; write def requests() and return some"
        )
    names = [f"before, request {number}" for number in range(len(before))]
    names += [f"requests, request {number}" for number in range(len(mix))]
    both = before + mix
    runner = Runner(loaded, FIRST.seed)
    one = list(_answers(loaded, before, mix, FIRST, trusted=trusted, runner=runner))
    made = [
        _record(loaded, name, each, outcome, place, runner)
        for name, each, outcome in zip(names, both, one, strict=True)
    ]
    for number, outcome in enumerate(_answers(loaded, before, (), AGAIN, trusted=trusted)):
        made[number] = _as_again(loaded, names[number], made[number], outcome)
    other = list(_answers(loaded, before, mix, SECOND, trusted=trusted))
    for number, (name, record, outcome) in enumerate(zip(names, made, other, strict=True)):
        if _differs(record, outcome, SECOND.id, place) is not None:
            again = _cause(loaded, before, mix, number, record, trusted=trusted)
            raise BadInputError(f"{loaded.path}: {name}: {again}")
    return Expected(tuple(made[: len(before)]), tuple(made[len(before) :]), place)


def _as_again(loaded: Loaded, name: str, record: Record, again: Outcome) -> Record:
    """Leave the bytes of a reply unchecked that are others when the request comes again."""
    if again.drop != "answered" or len(again.reply) != len(record.reply):
        got = f"{len(again.reply)} bytes" if again.drop == "answered" else f"none ({again.drop})"
        raise BadInputError(
            f"{loaded.path}: {name}: its reply has {len(record.reply)} bytes, and when it comes"
            f" again {got}; the load sends it again when it is lost, so give both one length"
        )
    mask = record.mask or b"\xff" * len(record.reply)
    both = zip(mask, record.reply, again.reply, strict=True)
    left = bytes(bits if one == other else 0 for bits, one, other in both)
    return Record(record.request, record.reply, left if 0 in left else None)


def asks(loaded: Loaded, name: str) -> list[Ask]:
    """Return the requests that before, requests or cases gives. BadInputError: one is wrong."""
    found: list[Ask] = []
    for number, each in enumerate(loaded.call(name)):
        one = Ask(bytes(each)) if isinstance(each, bytes | bytearray) else each
        where = f"{loaded.path}: {name}, request {number}"
        if not isinstance(one, Ask) or not isinstance(one.request, bytes):
            raise BadInputError(f"{where}: {each!r:.60} is neither bytes nor Ask(bytes)")
        if not isinstance(one.reply, bytes | None) or not isinstance(one.drop, str | None):
            raise BadInputError(f"{where}: reply must be bytes, and drop a word: b'...', 'quiet'")
        if not _ranges(one.unchecked):
            raise BadInputError(f"{where}: unchecked must have pairs: unchecked=((begin, end),)")
        if len(one.request) > REQUEST_BYTES_MAX:
            raise BadInputError(
                f"{where}: {len(one.request):,} bytes; at most {REQUEST_BYTES_MAX:,} fit in a frame"
            )
        found.append(one)
    return found


def _ranges(unchecked: object) -> bool:
    """Whether it is a tuple of pairs of numbers."""
    return isinstance(unchecked, tuple) and all(
        isinstance(each, tuple) and [type(one) for one in each] == [int, int] for each in unchecked
    )


def with_id(request: bytes, id: int, place: Id | None) -> bytes:
    """Write an id into a request; one that is too short for it stays."""
    if place is None or len(request) < place.at + ID_BYTES:
        return request
    return request[: place.at] + id.to_bytes(ID_BYTES, "big") + request[place.at + ID_BYTES :]


def _answers(
    loaded: Loaded,
    before: Sequence[Ask],
    mix: Sequence[Ask],
    how: Pass,
    *,
    trusted: bool,
    runner: Runner | None = None,
) -> Iterator[Outcome]:
    """Answer all requests; those of the mix may come in reverse, their outcomes do not."""
    runner = runner or Runner(loaded, how.seed)

    def one(each: Ask) -> Outcome:
        request = with_id(each.request, how.id, loaded.service.id)
        return runner.answer(request, how.source, how.now_ns, trusted=trusted)

    with Watch(runner, loaded.finder):
        for number, each in enumerate(before):
            more = (FIRST_TIMES if number == 0 else TIMES) - 1 if how.again else 0
            yield [one(each) for _ in range(1 + more)][-1]
        outcomes = [one(each) for each in (reversed(mix) if how.reverse else mix)]
        yield from reversed(outcomes) if how.reverse else outcomes


def _record(
    loaded: Loaded, name: str, ask: Ask, outcome: Outcome, place: Id, runner: Runner
) -> Record:
    if outcome.drop != "answered":
        why = runner.faults.get(outcome.drop, outcome.drop)
        raise BadInputError(f"{loaded.path}: {name} gets no reply ({why})")
    reply = outcome.reply
    if reply[place.reply_at : place.reply_at + ID_BYTES] != bytes(ID_BYTES):
        raise BadInputError(
            f"{loaded.path}: {name}: its reply does not have the request's id at"
            f" reply_at={place.reply_at}"
        )
    mask = bytearray(b"\xff" * len(reply))
    for begin, end in ask.unchecked:
        if not 0 <= begin <= end <= len(reply):
            raise BadInputError(
                f"{loaded.path}: {name}: unchecked ({begin}, {end}) is outside of its reply of"
                f" {len(reply)} bytes"
            )
        mask[begin:end] = bytes(end - begin)
    request = with_id(ask.request, 0, place)
    return Record(request, reply, bytes(mask) if 0 in mask else None)


def _differs(record: Record, outcome: Outcome, id: int, place: Id) -> str | None:
    """Say how an outcome differs from the record, None: in no byte that is checked."""
    if outcome.drop != "answered":
        return f"it gets no reply ({outcome.drop})"
    if len(outcome.reply) != len(record.reply):
        return f"its reply has {len(outcome.reply)} bytes, not {len(record.reply)}"
    mask = record.mask or b"\xff" * len(record.reply)
    right = bytearray(record.reply)
    right[place.reply_at : place.reply_at + ID_BYTES] = id.to_bytes(ID_BYTES, "big")
    for at, (one, other, bits) in enumerate(zip(outcome.reply, right, mask, strict=True)):
        if (one ^ other) & bits:
            return f"byte {at} of its reply is another"
    return None


def _cause(
    loaded: Loaded,
    before: Sequence[Ask],
    mix: Sequence[Ask],
    number: int,
    record: Record,
    *,
    trusted: bool,
) -> str:
    """Find which change alone makes a reply another, and say what to do."""
    place = cast(Id, loaded.service.id)
    advice = "name these bytes in Ask(request, unchecked=((begin, end),))"
    for words, how in CHANGES:
        outcome = list(_answers(loaded, before, mix, how, trusted=trusted))[number]
        difference = _differs(record, outcome, how.id, place)
        if difference is not None:
            return f"{difference} when {words}; {advice}"
    return f"its reply depends on order, time, source, seed or id; {advice}"
