"""A new service's file, which answers something already, and says how it is tried."""

from __future__ import annotations

from pathlib import Path

from nearmetal.errors import BadInputError
from nearmetal.service.declaration import NAME

PORT = 7000
_TEXT = '''"""__Name__: describe here what it answers.

Request: a 16-bit id, then bytes. Reply: the id, then how many bytes came, then their sum, in four
bytes each. docs/services.md has all that a service may use.
"""

from collections.abc import Iterator

from nearmetal.service import Ask, Id, Reply, Request, Service, Source, State, copy, i64, store32


class Counted(State):
    """Memory that lasts from request to request; all zeros at first."""

    bytes_seen = i64()


service = Service(
    "__name__",
    port=__port__,
    state=Counted,
    counters=("bytes_seen",),  # fields of the state that are printed
    drops=("empty",),  # why a request gets no reply: answer returns -1 for the first
    id=Id(at=0, reply_at=0),
    request_bytes_min=2,  # shorter requests do not reach answer
)


def answer(request: Request, reply: Reply, state: Counted, source: Source, now_ns: int) -> int:
    """Write the reply, and return its length; 0: none; -1: none, counted as the first of drops."""
    if len(request) < 6:
        return -1
    total = 0
    for at in range(2, len(request)):
        total += request[at]
    state.bytes_seen += len(request) - 2
    at = copy(reply, 0, request, 0, 2)
    at = store32(reply, at, len(request) - 2)
    return store32(reply, at, total)


def requests() -> Iterator[bytes]:
    """Yield what the load sends; the replies that it expects are those of this file in CPython."""
    for length in range(4, 40):
        yield bytes(2) + bytes(range(length))


def cases() -> Iterator[Ask]:
    """Yield tests: requests with the outcome that they must have."""
    yield Ask(b"\\x12\\x34abcd", reply=b"\\x12\\x34\\0\\0\\0\\x04\\0\\0\\x01\\x8a")
    yield Ask(b"\\x12\\x34abc", drop="empty")
    yield Ask(b"\\x12", drop="short")
'''


def text(name: str) -> str:
    """Return the text of a new service's file. BadInputError: a service cannot have that name."""
    if not NAME.fullmatch(name):
        raise BadInputError(
            f"new-service {name}: a name has 1 to 12 characters of a-z and 0-9, and begins with a"
            " letter"
        )
    filled = _TEXT.replace("__name__", name).replace("__Name__", name.capitalize())
    return filled.replace("__port__", str(PORT))


def write(name: str, folder: Path) -> Path:
    """Write NAME.py into a folder; return its path. BadInputError: it is there already."""
    content, path = text(name), folder / f"{name}.py"
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(content)
    except FileExistsError:
        raise BadInputError(f"{path} is there already: choose another name, or remove it") from None
    return path
