"""The smallest service: it greets the name behind the request's 16-bit id."""

from nearmetal.service import Id, Reply, Request, Service, Source, State, copy

service = Service("hello", port=7001, id=Id(at=0, reply_at=0), request_bytes_min=4)
GREETING = b"hello, "


def answer(request: Request, reply: Reply, state: State, source: Source, now_ns: int) -> int:
    at = copy(reply, 0, request, 0, 2)
    at = copy(reply, at, GREETING, 0, len(GREETING))
    return copy(reply, at, request, 2, len(request))


def requests() -> list[bytes]:
    return [b"\0\0" + name for name in (b"Ada", b"Grace", b"Barbara", b"Radia")]
