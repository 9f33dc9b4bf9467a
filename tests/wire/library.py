"""The C service in this process: libnm-kv.so by cffi, with a simulated clock. The rung `mem`.

A request's own buffer is its room, as on the sockets, so that an answer written too early shows.
There are few reply slots, so that `more` is used.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from pathlib import Path
from typing import Any

import cffi

from nearmetal.kv.corpus import Guard

ROOT = Path(__file__).resolve().parents[2]
REPLY_SLOTS = 3
REPLIES_BYTES = 1400
NOW_S = 1_800_000_000
_NUMBERS = (
    *("SERVICE_COUNTERS_MAX", "SERVICE_DROPS_MAX", "SERVICE_NAME_BYTES", "SERVICE_FAULTS_MAX"),
    "ADMISSION_NETWORKS_MAX",
    "SERVICE_FILE_BYTES",
)


def _declarations() -> str:
    """service.h and drop.h, reduced to what cffi can parse; no other file has these structs."""
    include = ROOT / "native" / "include"
    reasons = re.findall(r"X\((DROP_\w+), \"(\w+)\"\)", (include / "drop.h").read_text())
    text = f"enum drop_reason {{ {', '.join(name for name, _ in reasons)}, DROP_SERVICE }};"
    header = (include / "service.h").read_text()
    admission = (include.parent / "program" / "admission.h").read_text()
    body = header[header.index("struct source {") : header.rindex("#endif")]
    body = re.sub(r"#define REQUEST_.*?$", "", body, flags=re.M)
    body = re.sub(r"static inline.*?^}\n", "", body, flags=re.S | re.M)
    body += admission[admission.index("struct cidr {") : admission.rindex("#endif")]
    known = header + admission + (include / "drop.h").read_text()
    for number in _NUMBERS:
        found = re.search(rf"#define {number} (\d+)", known)
        assert found is not None
        body = body.replace(number, found[1])
    return text + re.sub(r"/\*.*?\*/", "", body, flags=re.S).replace(
        "extern const", "extern"
    ).replace("bool", "_Bool")


def common_drops() -> list[str]:
    """Return the drop reasons that all services share, in the order of the enum."""
    text = (ROOT / "native" / "include" / "drop.h").read_text()
    return re.findall(r"X\(DROP_\w+, \"(\w+)\"\)", text)


class Library:
    """One service, in its own memory."""

    def __init__(
        self, path: Path, guard: Guard, memory_bytes: int = 64 << 20, now_s: int = NOW_S
    ) -> None:
        self._ffi = cffi.FFI()
        self._ffi.cdef(_declarations())
        self._c: Any = self._ffi.dlopen(str(path))
        words = self._c.service_words
        self._names = common_drops() + self._texts(words.drops)
        self._counters = self._texts(words.counters)
        self._counts: Counter[str] = Counter()
        self.now_s = now_s
        # cffi's memory is zeroed; 64 more bytes allow the alignment.
        self._memory = self._ffi.new("uint8_t[]", memory_bytes + 64)
        skip = -int(self._ffi.cast("uintptr_t", self._memory)) % 64
        config = self._ffi.new("struct service_config *")
        config.memory = self._memory + skip
        config.memory_bytes = memory_bytes
        config.seed = list(range(16))
        config.now_ns = now_s * 10**9
        config.pid = 7
        lists = self._ffi.new("struct admission_config *")
        keep = [self._networks(lists, name, guard) for name in ("allow", "admin", "trusted")]
        self._admission = self._ffi.new("struct admission *")
        error = self._c.admission_open(self._admission, lists)  # copies the lists
        assert keep and error == self._ffi.NULL
        service = self._ffi.new("struct service **")
        error = self._c.service_open(service, config)
        assert error == self._ffi.NULL, self._ffi.string(error)
        self._service = service[0]
        self._slots = self._ffi.new("struct reply[]", REPLY_SLOTS)
        self._spares = [self._ffi.new("uint8_t[]", REPLIES_BYTES) for _ in range(REPLY_SLOTS)]

    def ask(self, datagram: bytes, source: str) -> list[bytes]:
        """Return all reply datagrams of one request."""
        answers, drop = self.handle(datagram, source)
        self._counts[drop] += 1
        return answers

    def handle(self, datagram: bytes, source: str) -> tuple[list[bytes], str]:
        """Return the replies to one request, and its drop reason."""
        room_bytes = max(len(datagram), REPLIES_BYTES)
        buffer = self._ffi.new("uint8_t[]", room_bytes)
        self._ffi.memmove(buffer, datagram, len(datagram))
        request = self._ffi.new("struct request *")
        request.data, request.len = buffer, len(datagram)
        request.room, request.room_bytes = buffer, room_bytes
        request.source.addr = _address(source)
        request.source.port = 1
        more = self._ffi.new("_Bool *")
        answers: list[bytes] = []
        count = 1
        self._c.service_ahead(self._service, request, count)
        shortest = self._c.service_request_bytes_min
        self._c.admission_admit(self._admission, shortest, request, count)
        while True:
            for slot, spare in zip(self._slots, self._spares, strict=True):
                slot.spare = spare
            filled = self._c.service_handle_burst(
                self._service, self.now_s * 10**9, request, count, self._slots, REPLY_SLOTS, more
            )
            for slot in self._slots[0:filled]:
                assert slot.request == 0
                answers.append(bytes(self._ffi.buffer(slot.data, slot.len)))
            assert filled > 0 or not more[0], "no progress"
            if not more[0]:
                return answers, self._names[request.drop]
            count = 0

    def counters(self) -> dict[str, int]:
        """Return the counters by name."""
        counters = self._ffi.new("struct service_counters *")
        self._c.service_counters(self._service, counters)
        return dict(zip(self._counters, counters.values, strict=False))

    def _texts(self, names: Any) -> list[str]:
        return [text for name in names if (text := self._ffi.string(name).decode())]

    def drops(self) -> Counter[str]:
        return self._counts

    def close(self) -> None:
        pass

    def _networks(self, config: Any, name: str, guard: Guard) -> Any:
        texts = getattr(guard, name)
        networks = self._ffi.new("struct cidr[]", len(texts))
        for cidr, text in zip(networks, texts, strict=True):
            network = ipaddress.ip_network(text)
            mapped = 96 if network.version == 4 else 0
            cidr.addr = _address(str(network.network_address))
            cidr.prefix_bits = network.prefixlen + mapped
        getattr(config, name).networks = networks
        getattr(config, name).nb_networks = len(texts)
        return networks


def _address(text: str) -> bytes:
    address = ipaddress.ip_address(text)
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed
