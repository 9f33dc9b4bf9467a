"""Your own service: one Python file, run as it is in CPython, and compiled for every other rung.

    from nearmetal.service import Id, Service, copy

    service = Service("mine", port=7000, id=Id(at=0, reply_at=0))

    def answer(request, reply, state, source, now_ns):
        return copy(reply, 0, request, 0, len(request))

A file declares one `service` and these functions, of which only `answer` must be there:

answer(request, reply, state, source, now_ns) -> int
    n > 0: the first n bytes of reply are sent. 0: no reply. -k: no reply, counted under the k-th
    of the service's drop words. `reply` is filled with zeros before the call.
prepare(request, state)
    Only calls `ahead`. It runs some requests before answer does.
init(state, args)
    Fills the state's first values. It runs in CPython, when the program is made.
requests() -> bytes, or Ask, each
    What the load sends. The replies that it expects are those of CPython.
before() -> bytes, or Ask, each
    Requests that set up the state: asked first, once, in order.
cases() -> bytes, or Ask, each
    More requests for tests: what the load does not send, such as malformed ones.

All but this package is for `answer` and `prepare` a subset of Python: integers of 64 bits, the
bytes of request and reply, the state's fields and arrays, and the functions below.
docs/services.md has what is supported.
"""

from nearmetal.service.args import Args
from nearmetal.service.ask import Ask
from nearmetal.service.buffers import Array, Bytes, Reply, Request, Source
from nearmetal.service.bytewise import (
    ahead,
    compare,
    copy,
    fill,
    load16,
    load32,
    load64,
    store16,
    store32,
    store64,
)
from nearmetal.service.declaration import Id, Service
from nearmetal.service.hashing import keyed_hash
from nearmetal.service.state import (
    State,
    array,
    i8,
    i16,
    i32,
    i64,
    seed,
    table,
    u8,
    u16,
    u32,
)
from nearmetal.service.tables import Table, add, count, find, first_slot, remove

__all__ = [
    "Args",
    "Array",
    "Ask",
    "Bytes",
    "Id",
    "Reply",
    "Request",
    "Service",
    "Source",
    "State",
    "Table",
    "add",
    "ahead",
    "array",
    "compare",
    "copy",
    "count",
    "fill",
    "find",
    "first_slot",
    "i8",
    "i16",
    "i32",
    "i64",
    "keyed_hash",
    "load16",
    "load32",
    "load64",
    "remove",
    "seed",
    "store16",
    "store32",
    "store64",
    "table",
    "u8",
    "u16",
    "u32",
]
