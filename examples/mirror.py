"""Echo with a copy: the reply is the request, byte by byte, and its bytes are counted.

What a service costs that does next to nothing; mirror.c does the same in C.
"""

from collections.abc import Iterator

from nearmetal.service import Id, Reply, Request, Service, Source, State, copy, i64


class Mirrored(State):
    """Totals, which the counters show."""

    requests = i64()
    bytes = i64()


service = Service(
    "mirror",
    port=7002,
    state=Mirrored,
    counters=("requests", "bytes"),
    id=Id(at=0, reply_at=0),
    request_bytes_min=2,
)


def answer(request: Request, reply: Reply, state: Mirrored, source: Source, now_ns: int) -> int:
    state.requests += 1
    state.bytes += len(request)
    return copy(reply, 0, request, 0, len(request))


def requests() -> Iterator[bytes]:
    for length in (2, 16, 24, 48, 64, 128, 256, 512, 1024):
        yield bytes(2) + bytes(at * 37 % 251 for at in range(length - 2))
