"""Text that `serve` prints for people: its address, a line to try it, how to end it, its counts."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_address, ip_network

from nearmetal.commands import serve_log
from nearmetal.commands.own import Served
from nearmetal.kv.admission import LOOPBACK
from nearmetal.machine.processes.process import Event
from nearmetal.service import faults
from nearmetal.service.expected import asks
from nearmetal.spec import own_service

_ASKED = r"\0\1\0\0\0\1\0\0version\r\n"  # the protocol's UDP frame header, and a command
_SHOWN_BYTES = 64  # of a service's own request: a longer one makes no line


def in_one_line(name: str, ready: Event, allow: Sequence[str]) -> str:
    """Return the content of `serving` as one line, for a log."""
    who = ", ".join(allow or LOOPBACK)
    return f"{name} serves on {ready['listen']}, pid {ready['pid']}; sources allowed: {who}"


def serving(
    name: str, ready: Event, own_pid: int, allow: Sequence[str], served: Served | None = None
) -> Iterator[str]:
    """Yield the lines to print once requests are answered.

    own_pid: the process to end. allow: sources that are admitted; empty: loopback. served: what is
    served; None: the store.
    """
    listen = ready["listen"]
    yield f"{name} on {listen}, pid {ready['pid']}"
    yield f"sources allowed: {', '.join(allow or LOOPBACK)} (--allow)"
    asked = target(listen, allow or LOOPBACK)
    if asked is None:
        yield "try it from a machine that is allowed; requests from this one are not answered"
    else:
        line = ask(served or Served(), *asked)
        yield f"try it: {line}" if line else "try it with a client of its protocol"
    yield f"end it: Ctrl-C, or kill {own_pid}"


def one_line(host: str, port: int) -> str:
    """Return a shell command that requests the server's version; needs only a bare Python."""
    return _shell_line(host, port, f'b"{_ASKED}"', "u.recv(2000)[8:].decode()")


def ask(served: Served, host: str, port: int) -> str | None:
    """Return a shell command that sends one request and prints its reply.

    Of a user's service it sends the first short request; None: it has none.
    """
    if not served.own:
        return one_line(host, port)
    for each in asks(own_service.loaded(served.own[0]), "requests"):
        if len(each.request) <= _SHOWN_BYTES:
            sent = f'bytes.fromhex("{each.request.hex()}")'
            return _shell_line(host, port, sent, "u.recv(2000)")
    return None


def _shell_line(host: str, port: int, sent: str, shown: str) -> str:
    family = "AF_INET6" if ":" in host else "AF_INET"
    return (
        f"python3 -c 'import socket as s;u=s.socket(s.{family},s.SOCK_DGRAM);u.settimeout(3);"
        f'u.sendto({sent},("{host}",{port}));print({shown})\''
    )


def target(listen: str, allow: Sequence[str]) -> tuple[str, int] | None:
    """Return address and port for requests from this machine.

    None: no source address of this machine is admitted.
    """
    host, _, text = listen.rpartition(":")
    address = ip_address(host.strip("[]"))
    if not address.is_unspecified:
        return str(address), int(text)
    for network in map(ip_network, allow):
        if network.version != address.version:
            continue
        if network.is_loopback:
            return str(network[0] if network.num_addresses == 1 else network[1]), int(text)
        own = _own_address(str(network[min(1, network.num_addresses - 1)]))
        if own is not None and ip_address(own) in network:
            return own, int(text)
    return None


def _own_address(towards: str) -> str | None:
    """Return the source address that this machine uses towards an address, or None.

    Nothing is sent.
    """
    family = socket.AF_INET6 if ":" in towards else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        try:
            udp.connect((towards, 9))
        except OSError:
            return None
        own: str = udp.getsockname()[0]
        return own


def ended(name: str, final: Event) -> str:
    """Return the final counts in words."""
    drops = final.get("drops", {})
    parts = [serve_log.answered(final)]
    parts += [
        f"{count:,} {reason}" for reason, count in drops.items() if count and reason != "answered"
    ]
    if "items" in final:
        parts.append(f"{final['items']:,} items held, {final['evicted']:,} evicted")
    parts += [told] if (told := faults.in_words(final)) else []
    return f"{name} ended: {'; '.join(parts)}"
