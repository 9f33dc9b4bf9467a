"""The datapath `py`, rung host-py: a service behind a socket, one datagram at a time.

    python -m nearmetal.kv.server --listen 127.0.0.1:11211 [--service kv|echo|FILE.py] ...

A DUT as described in docs/programs.md, with the options of the native ones. Like the native loop it
receives, handles, sends, counts in one place, and drains when it is stopped. `--memory` bounds the
sum of key + value + 32 bytes per item, so a million standard items are 80 MB; with the Python
objects around them the process needs about five times that.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import struct
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from nearmetal.errors import NearmetalError, in_words
from nearmetal.kv.admission import admission
from nearmetal.kv.served import served
from nearmetal.kv.server_options import Options, parse

WAIT_S = 0.1  # longest sleep of a receive, so also of noticing a signal
RECEIVE_BUFFER_BYTES = 8 << 20  # room for a burst of every flow while the server is off the core
DATAGRAM_BYTES_MAX = 65_536
DRAIN_DATAGRAMS_MAX = 131_072  # a drain ends even when requests keep coming


def main(arguments: list[str]) -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    try:
        options = parse(arguments)
        with open_socket(options) as udp:
            loop = Loop(udp, options)
            signal.signal(signal.SIGTERM, loop.stop)
            signal.signal(signal.SIGINT, loop.stop)
            signal.signal(signal.SIGUSR1, loop.tell)
            _print_ready(udp, options, loop.served.name)
            with loop.served.watched():
                loop.run()
    except NearmetalError as error:
        print(f"nm-py: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # from printing: errors of the socket are counted instead
        print(f"nm-py: {in_words(error)}", file=sys.stderr)
        return 1
    return 0


def open_socket(options: Options) -> socket.socket:
    """Bind a UDP socket; on a wildcard address requests carry their destination address.

    NearmetalError: it cannot be bound, and what to do.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    udp = socket.socket(family, socket.SOCK_DGRAM)
    try:
        wait = struct.pack("ll", 0, int(WAIT_S * 1e6))
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, wait)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        if family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if options.wildcard and family == socket.AF_INET6:
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        elif options.wildcard:
            udp.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        udp.bind((options.host, options.port))
    except OSError as error:
        udp.close()
        raise NearmetalError(
            f"cannot listen on UDP port {options.port}: {error.strerror};"
            f" {_REMEDIES.get(error.errno or 0, 'give an address of this machine to --listen')}"
        ) from None
    return udp


_REMEDIES = {
    errno.EADDRINUSE: "stop the other server or give another --listen",
    errno.EACCES: (
        "ports below net.ipv4.ip_unprivileged_port_start (usually 1024) need root or"
        " CAP_NET_BIND_SERVICE; give a higher one to --listen"
    ),
}
_IP_PKTINFO = 8  # Linux; the socket module names it from 3.14 on
_CONTROL_BYTES = socket.CMSG_SPACE(20)  # the larger of the two packet-info messages (IPv6's)


@dataclass(slots=True)
class Counters:
    """Counters of the loop."""

    drops: Counter[str] = field(default_factory=Counter)
    replies: int = 0
    syscalls: int = 0
    rx_errors: int = 0
    tx_errors: int = 0
    empty_rx: int = 0


class Loop:
    """The server's loop: receive, handle, send."""

    def __init__(self, udp: socket.socket, options: Options) -> None:
        self.counters = Counters()
        self._udp = udp
        self._options = options
        self._stopped = False
        self._asked = False
        self._wall_minus_monotonic_ns = time.time_ns() - time.monotonic_ns()
        self.served = served(options, self._now_ns())
        self._rights = admission(options.allow, options.admin, options.trusted)
        self._receive_flags = socket.MSG_DONTWAIT if options.poll else 0
        # The request's destination address arrives as a control message, which the reply reuses.
        self._control = _CONTROL_BYTES if options.wildcard else 0

    def stop(self, signal_number: int, frame: object) -> None:
        """Signal handler: handle the queued requests, then end."""
        self._stopped = True

    def tell(self, signal_number: int, frame: object) -> None:
        """Signal handler: print a counters line at the end of this turn."""
        self._asked = True

    def run(self) -> None:
        """Run turns until stopped, then drain the socket and print the final line.

        A counters line is printed every every_s seconds, and on request (tell).
        """
        every_s = self._options.every_s
        next_line = time.monotonic() + every_s if every_s else float("inf")
        while not self._stopped:
            self._turn(self._receive_flags)
            if time.monotonic() >= next_line:
                next_line += every_s
                self._asked = True
            if self._asked:
                self._asked = False
                self._print_counters("counters")
        for _ in range(DRAIN_DATAGRAMS_MAX):
            if not self._turn(socket.MSG_DONTWAIT):
                break
        self._print_counters("final")

    def _turn(self, flags: int) -> bool:
        """Handle one datagram; returns False if none was there."""
        counters = self.counters
        counters.syscalls += 1
        try:
            request, asked, _, peer = self._udp.recvmsg(DATAGRAM_BYTES_MAX, self._control, flags)
        except BlockingIOError:
            counters.empty_rx += 1
            return False
        except OSError:
            counters.rx_errors += 1
            return False
        rights = self._rights(peer[0])
        datagrams, drop = self.served.handle(request, peer, self._now_ns(), rights)
        for datagram in datagrams:
            counters.syscalls += 1
            try:
                self._udp.sendmsg((datagram,), asked, 0, peer)
                counters.replies += 1
            except OSError:
                counters.tx_errors += 1
                drop = "tx"
        counters.drops[drop] += 1
        return True

    def _now_ns(self) -> int:
        """Unix time, counted on from the start, so that a clock step expires no item."""
        return self._wall_minus_monotonic_ns + time.monotonic_ns()

    def _print_counters(self, event: str) -> None:
        counters = self.counters
        line: dict[str, object] = {
            "event": event,
            "received": counters.drops.total(),
            "replies": counters.replies,
            "drops": {name: counters.drops[name] for name in self.served.drop_names},
            "syscalls": counters.syscalls,
            "rx_errors": counters.rx_errors,
            "tx_errors": counters.tx_errors,
            "empty_rx": counters.empty_rx,
            **self.served.counters(),
        }
        if found := self.served.faults():
            line["faults"] = found
        print(json.dumps(line, separators=(",", ":")), flush=True)


def _print_ready(udp: socket.socket, options: Options, service: str) -> None:
    host, port = udp.getsockname()[:2]
    line = {
        "event": "ready",
        "datapath": "py",
        "service": service,
        "listen": f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        "pid": os.getpid(),
        "store_budget_bytes": options.memory_bytes,
    }
    print(json.dumps(line, separators=(",", ":")), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
