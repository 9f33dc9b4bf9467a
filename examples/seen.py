"""Counts how often each source was seen: a state, a table and a prefetch.

Request: a 16-bit id, a command, and the source's name of 8 bytes. The command is `+` (count it) or
`-` (forget it). Reply: the id, the command, the number of the source's entry in 4 bytes, and its
count in 4 bytes. `--service-arg most=N` makes the counts stop at N.
"""

from collections.abc import Iterator

from nearmetal.service import (
    Args,
    Ask,
    Id,
    Reply,
    Request,
    Service,
    Source,
    State,
    add,
    ahead,
    array,
    copy,
    count,
    find,
    first_slot,
    i64,
    remove,
    store32,
    table,
    u32,
)

SOURCES = 4096
NAME_AT, NAME_BYTES = 3, 8
REPLY_BYTES = 11
COUNT, FORGET = ord("+"), ord("-")


class Seen(State):
    """How often each source was seen, at the number of its entry."""

    most = i64()
    known = i64()
    forgotten = i64()
    sources = table(SOURCES, key_bytes=NAME_BYTES)
    counts = array(u32, SOURCES)


service = Service(
    "seen",
    port=7003,
    state=Seen,
    gauges=("known",),
    counters=("forgotten",),
    drops=("command", "no_room", "stranger"),
    id=Id(at=0, reply_at=0),
    request_bytes_min=NAME_AT + NAME_BYTES,
    reply_bytes_max=REPLY_BYTES,
)
UNKNOWN_COMMAND, NO_ROOM, STRANGER = -1, -2, -3


def init(state: Seen, args: Args) -> None:
    state.most = args.integer("most", 2**32 - 1, least=1, most=2**32 - 1)


def prepare(request: Request, state: Seen) -> None:
    ahead(state.sources.slots, first_slot(state.sources, request, NAME_AT))


def answer(request: Request, reply: Reply, state: Seen, source: Source, now_ns: int) -> int:
    if request[2] == COUNT:
        entry = add(state.sources, request, NAME_AT)
        if entry < 0:
            return NO_ROOM
        if state.counts[entry] < state.most:
            state.counts[entry] += 1
    elif request[2] == FORGET:
        entry = find(state.sources, request, NAME_AT)
        if entry < 0:
            return STRANGER
        remove(state.sources, entry)
        state.counts[entry] = 0
        state.forgotten += 1
    else:
        return UNKNOWN_COMMAND
    state.known = count(state.sources)
    at = copy(reply, 0, request, 0, 3)
    at = store32(reply, at, entry)
    return store32(reply, at, state.counts[entry])


def asked(command: int, number: int) -> bytes:
    return bytes((0, 0, command)) + b"node%04d" % number


def before() -> Iterator[bytes]:
    for number in range(1000):
        yield asked(COUNT, number)


def requests() -> Iterator[Ask]:
    for number in range(1000):
        yield Ask(asked(COUNT, number), unchecked=((7, 11),))  # the count


def cases() -> Iterator[Ask]:
    yield Ask(asked(COUNT, 7), reply=b"\0\0+\0\0\0\x07\0\0\0\x02")
    yield Ask(asked(FORGET, 7), reply=b"\0\0-\0\0\0\x07\0\0\0\0")
    yield Ask(asked(FORGET, 7), drop="stranger")
    yield Ask(asked(COUNT, 5000), reply=b"\0\0+\0\0\0\x07\0\0\0\x01")
    yield Ask(asked(ord("?"), 1), drop="command")
