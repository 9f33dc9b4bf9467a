"""Services behind the socket of server.py: the store, echo, and a user's file."""

from __future__ import annotations

import contextlib
import os
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import Protocol

from nearmetal.kv.admission import Rights
from nearmetal.kv.model import Model, Reply
from nearmetal.kv.server_options import ECHO, Options
from nearmetal.service.buffers import Source
from nearmetal.service.load import load
from nearmetal.service.runner import Runner
from nearmetal.service.watch import Watch

# The drop reasons of drop.h that a datagram datapath can meet, in order, and those of kv's row.
DROP_NAMES = ("answered", "quiet", "short", "source", "amplify", "truncated", "tx")
KV_DROP_NAMES = ("total", "binary")
SOURCES_REMEMBERED = 4096
_V4 = bytes(10) + b"\xff\xff"  # RFC 4291, 2.5.5.2
Peer = tuple[str, int]


class Served(Protocol):
    """One service. By default it has no faults, and is not watched."""

    name: str
    drop_names: tuple[str, ...]

    def handle(self, request: bytes, peer: Peer, now_ns: int, rights: Rights) -> Reply:
        """Answer one datagram."""
        ...

    def counters(self) -> dict[str, int]:
        """Return its counters, in the order of its row."""
        ...

    def faults(self) -> list[dict[str, object]]:
        """Return the first fault of each class (service/faults.py)."""
        return []

    def watched(self) -> contextlib.AbstractContextManager[None]:
        """Notice a request that is never answered; raises a NearmetalError then."""
        return contextlib.nullcontext()


def served(options: Options, now_ns: int) -> Served:
    """Return the service that the options name. BadInputError: its file is wrong."""
    if options.file is not None:
        return File(options)
    return Echo() if options.service == ECHO else Store(options, now_ns)


class Store(Served):
    """The service `kv`."""

    drop_names: tuple[str, ...] = (*DROP_NAMES, *KV_DROP_NAMES)

    def __init__(self, options: Options, now_ns: int) -> None:
        self.name = options.service
        self._model = Model(options.memory_bytes, _seconds(now_ns), os.getpid())

    def handle(self, request: bytes, peer: Peer, now_ns: int, rights: Rights) -> Reply:
        return self._model.handle(request, _seconds(now_ns), rights)

    def counters(self) -> dict[str, int]:
        return kv_counters(self._model)


def kv_counters(model: Model) -> dict[str, int]:
    """The counters of kv, in the order of its row in the table of services."""
    return {
        "items": len(model.items),
        "live_bytes": model.live_bytes,
        "evicted": model.counts["evictions"],
        "expired": model.expired_count,
        "get": model.counts["cmd_get"],
        "get_hits": model.counts["get_hits"],
        "set": model.counts["cmd_set"],
    }


class Echo(Served):
    """The service `echo`: the reply is the request."""

    name = ECHO
    drop_names: tuple[str, ...] = DROP_NAMES

    def handle(self, request: bytes, peer: Peer, now_ns: int, rights: Rights) -> Reply:
        if not request:
            return Reply([], "short")
        return Reply([request], "answered") if rights.allowed else Reply([], "source")

    def counters(self) -> dict[str, int]:
        return {}


class File(Served):
    """A user's service (nearmetal.service)."""

    def __init__(self, options: Options) -> None:
        assert options.file is not None
        self._loaded = load(options.file, dict(options.service_args))
        service = self._loaded.service
        self.name = service.name
        self.drop_names = (*DROP_NAMES, *service.drop_words)
        self._request_bytes_min = service.request_bytes_min
        self._runner = Runner(self._loaded, options.seed)

    def handle(self, request: bytes, peer: Peer, now_ns: int, rights: Rights) -> Reply:
        if len(request) >= self._request_bytes_min and not rights.allowed:
            return Reply([], "source")
        source = Source(_addr(peer[0]), peer[1])
        reply, drop = self._runner.answer(request, source, now_ns, trusted=rights.trusted)
        return Reply([reply] if drop == "answered" else [], drop)

    def counters(self) -> dict[str, int]:
        return self._runner.counters()

    def faults(self) -> list[dict[str, object]]:
        return [each.event() for each in self._runner.faults.values()]

    def watched(self) -> contextlib.AbstractContextManager[None]:
        return Watch(self._runner, self._loaded.finder)


@lru_cache(maxsize=SOURCES_REMEMBERED)
def _addr(host: str) -> bytes:
    address = ip_address(host.partition("%")[0])
    return address.packed if isinstance(address, IPv6Address) else _V4 + address.packed


def _seconds(now_ns: int) -> int:
    return now_ns // 1_000_000_000
