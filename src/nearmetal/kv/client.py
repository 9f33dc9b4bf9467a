"""A small synchronous client for memcached's ASCII protocol over UDP, one datagram per request.

    from nearmetal.kv.client import Client

    with Client("127.0.0.1", 11211) as client:
        client.set("greeting", b"hello")
        print(client.get("greeting"))

Each request has an id of its own. A reply may be several datagrams, which are checked and put in
order. Many keys are split into several requests, none longer than one Ethernet frame; if a reply
would be too large, its keys are requested in two halves. If no reply comes within `timeout_s`,
requests that may safely be repeated (get, stats, version) are sent again, RETRIES times; any other
raises NoAnswerError at once, because the server may have executed it.
"""

from __future__ import annotations

import errno
import itertools
import secrets
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from nearmetal.errors import NearmetalError
from nearmetal.kv import protocol

TIMEOUT_S = 0.2
RETRIES = 2
_FRAME = struct.Struct(">HHHH")
_RECEIVE_BUFFER_BYTES = 1 << 20
_DIGITS_MAX = 20  # of a 64-bit number
FRAME_UDP_BYTES_MAX = 1500 - 20 - 8  # UDP payload of one frame: Ethernet's MTU less IPv4 and UDP
_DATAGRAM_BYTES_MAX = 65_507  # largest UDP payload over IPv4, fragmented or not (udp(7))
_LINE_BYTES_MAX = FRAME_UDP_BYTES_MAX - _FRAME.size - len(b"gets\r\n")


class ClientError(NearmetalError):
    """The server refused the request; the message is the server's."""


class NoAnswerError(NearmetalError):
    """No reply came in time: the server is down, or a datagram was lost."""


class BadReplyError(NearmetalError):
    """The reply does not follow the protocol."""


class Value(NamedTuple):
    """One item as the server holds it."""

    data: bytes
    flags: int
    cas: int


class Client:
    """A connected UDP socket to one server."""

    def __init__(self, host: str, port: int = 11211, timeout_s: float = TIMEOUT_S) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._timeout_s = timeout_s
        self._udp = socket.socket(family, socket.SOCK_DGRAM)
        self._udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        self._udp.connect((host, port))
        # A random first id, so that a late reply to an earlier client of this port does not match.
        self._ids = itertools.count(secrets.randbelow(0x10000))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the socket."""
        self._udp.close()

    def get(self, key: str | bytes) -> bytes | None:
        """Return the value, or None if the key is not stored."""
        value = self.gets([key]).get(_bytes(key))
        return None if value is None else value.data

    def get_many(self, keys: Iterable[str | bytes]) -> dict[bytes, bytes]:
        """Return the values of the keys that are stored."""
        return {key: value.data for key, value in self.gets(keys).items()}

    def gets(self, keys: Iterable[str | bytes]) -> dict[bytes, Value]:
        """Return values with flags and cas id, without the keys that are not stored."""
        found: dict[bytes, Value] = {}
        for some in _parts([_checked(key) for key in keys]):
            found |= self._some(some)
        return found

    def _some(self, keys: Sequence[bytes]) -> dict[bytes, Value]:
        """Request the keys at once, or in two halves if the reply would be too large."""
        answer = self._ask(b" ".join([b"gets", *keys]) + b"\r\n", retries=RETRIES)
        if answer != protocol.TOO_LARGE:
            return dict(_values(answer))
        if len(keys) < 2:
            raise ClientError(
                "SERVER_ERROR reply too large: this client may receive at most 3 times its request;"
                " add its address to the server's --trusted"
            )
        half = len(keys) // 2
        return self._some(keys[:half]) | self._some(keys[half:])

    def set(self, key: str | bytes, data: bytes, flags: int = 0, exptime: int = 0) -> None:
        """Store a value and replace any old one."""
        self._store(b"set", key, data, flags, exptime)

    def add(self, key: str | bytes, data: bytes, flags: int = 0, exptime: int = 0) -> bool:
        """Store a value if the key has none; returns whether it was stored."""
        return self._store(b"add", key, data, flags, exptime)

    def replace(self, key: str | bytes, data: bytes, flags: int = 0, exptime: int = 0) -> bool:
        """Store a value if the key has one; returns whether it was stored."""
        return self._store(b"replace", key, data, flags, exptime)

    def append(self, key: str | bytes, data: bytes) -> bool:
        """Append to a stored value; returns whether there was one."""
        return self._store(b"append", key, data, 0, 0)

    def prepend(self, key: str | bytes, data: bytes) -> bool:
        """Prepend to a stored value; returns whether there was one."""
        return self._store(b"prepend", key, data, 0, 0)

    def cas(self, key: str | bytes, data: bytes, cas: int, flags: int = 0) -> bool:
        """Store a value if the item still has this cas id; returns whether it was stored."""
        return self._store(b"cas", key, data, flags, 0, b" %d" % cas)

    def incr(self, key: str | bytes, delta: int = 1) -> int | None:
        """Add to a stored number; returns the new number, or None if the key has no value."""
        return self._arithmetic(b"incr", key, delta)

    def decr(self, key: str | bytes, delta: int = 1) -> int | None:
        """Subtract from a stored number, down to 0; returns the new one, or None as incr does."""
        return self._arithmetic(b"decr", key, delta)

    def delete(self, key: str | bytes) -> bool:
        """Delete an item; returns whether there was one."""
        return self._yes(b"delete %b\r\n" % _checked(key), protocol.DELETED, protocol.NOT_FOUND)

    def touch(self, key: str | bytes, exptime: int) -> bool:
        """Set an item's expiry time; returns whether there was an item."""
        line = b"touch %b %d\r\n" % (_checked(key), exptime)
        return self._yes(line, protocol.TOUCHED, protocol.NOT_FOUND)

    def flush_all(self, delay_s: int = 0) -> None:
        """Delete all items, now or after delay_s."""
        self._yes(b"flush_all %d\r\n" % delay_s, protocol.OK)

    def version(self) -> str:
        """Return the server's version."""
        answer = self._ask(b"version\r\n", retries=RETRIES)
        if not answer.startswith(b"VERSION ") or not answer.endswith(b"\r\n"):
            raise _unexpected(answer)
        return answer[8:-2].decode("ascii", "replace")

    def stats(self) -> dict[str, str]:
        """Return memcached's statistics by name."""
        lines = self._ask(b"stats\r\n", retries=RETRIES).decode("ascii", "replace").splitlines()
        if lines[-1:] != ["END"] or not all(line.startswith("STAT ") for line in lines[:-1]):
            raise _unexpected(lines[0].encode() if lines else b"")
        parted = (line.removeprefix("STAT ").partition(" ") for line in lines[:-1])
        return {name: value for name, _, value in parted}

    def _store(
        self,
        name: bytes,
        key: str | bytes,
        data: bytes,
        flags: int,
        exptime: int,
        cas: bytes = b"",
    ) -> bool:
        line = b"%b %b %d %d %d%b\r\n" % (name, _checked(key), flags, exptime, len(data), cas)
        refusals = (protocol.NOT_STORED, protocol.EXISTS, protocol.NOT_FOUND)
        return self._yes(line + data + b"\r\n", protocol.STORED, *refusals)

    def _arithmetic(self, name: bytes, key: str | bytes, delta: int) -> int | None:
        answer = self._ask(b"%b %b %d\r\n" % (name, _checked(key), delta))
        if answer == protocol.NOT_FOUND:
            return None
        if not _are_numbers([answer.strip()]):
            raise _unexpected(answer)
        return int(answer)

    def _yes(self, request: bytes, yes: bytes, *no: bytes) -> bool:
        answer = self._ask(request)
        if answer != yes and answer not in no:
            raise _unexpected(answer)
        return answer == yes

    def _ask(self, body: bytes, retries: int = 0) -> bytes:
        """Send a request and return the whole reply; sent again after a timeout, retries times."""
        for _ in range(1 + retries):
            request_id = next(self._ids) % 0x10000
            try:
                self._udp.send(_FRAME.pack(request_id, 0, 1, 0) + body)
                message = self._message(request_id)
            except ConnectionRefusedError:
                raise NoAnswerError("no program listens there; start the server") from None
            except OSError as error:
                raise NearmetalError(_not_sent(error, _FRAME.size + len(body))) from None
            if message is not None:
                return message
        asked = f"no answer within {self._timeout_s} s; sent {1 + retries} times"
        raise NoAnswerError(asked + _too_long(_FRAME.size + len(body)))

    def _message(self, request_id: int) -> bytes | None:
        """Receive all datagrams of a reply and join them in order; None: not all came in time."""
        deadline = time.monotonic() + self._timeout_s
        parts: dict[int, bytes] = {}
        whole = 0
        while (left_s := deadline - time.monotonic()) > 0:
            self._udp.settimeout(left_s)
            try:
                datagram = self._udp.recv(65_536)
            except TimeoutError:
                return None
            if len(datagram) <= _FRAME.size:
                raise BadReplyError(f"a datagram of {len(datagram)} bytes is too short")
            answered_id, sequence, total, _ = _FRAME.unpack_from(datagram)
            if answered_id != request_id:
                continue  # a late reply to an earlier request
            if not sequence < total <= protocol.DATAGRAMS_MAX or whole not in (0, total):
                raise BadReplyError(f"datagram {sequence} of {total} cannot be part of a reply")
            whole = total
            parts[sequence] = datagram[_FRAME.size :]
            if len(parts) == total:
                return b"".join(parts[i] for i in range(total))
        return None


def _parts(keys: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    """Split keys, in their order, into as many as fit into one frame each."""
    start = line_bytes = 0
    for end, key in enumerate(keys):
        line_bytes += 1 + len(key)
        if line_bytes > _LINE_BYTES_MAX:
            yield keys[start:end]
            start, line_bytes = end, 1 + len(key)
    if keys:
        yield keys[start:]


def _too_long(datagram_bytes: int) -> str:
    """Hint about the length of a request without an answer; "": it fits into one frame."""
    if datagram_bytes <= FRAME_UDP_BYTES_MAX:
        return ""
    return (
        f"; its request has {datagram_bytes:,} bytes, and a server on frames (host-dpdk, ukp-*,"
        f" uk-*) takes at most {FRAME_UDP_BYTES_MAX:,} in a datagram: store less in one item, or"
        " serve on sockets (host-mmsg)"
    )


def _not_sent(error: OSError, datagram_bytes: int) -> str:
    if error.errno != errno.EMSGSIZE:
        return f"cannot send the request: {error.strerror}"
    return (
        f"cannot send the request: it has {datagram_bytes:,} bytes, and a datagram holds at most"
        f" {_DATAGRAM_BYTES_MAX:,}; store less in one item"
    )


def _values(message: bytes) -> Iterable[tuple[bytes, Value]]:
    """Parse the items of an answer to gets."""
    position = 0
    while not message.startswith(b"END\r\n", position):
        line, end, _ = message[position : position + 400].partition(b"\r\n")
        words = line.split(b" ")
        if not end or len(words) != 5 or words[0] != b"VALUE" or not _are_numbers(words[2:]):
            raise _unexpected(message[position:])
        start = position + len(line) + 2
        end_of_data = start + int(words[3])
        position = end_of_data + 2
        if message[end_of_data:position] != b"\r\n":
            raise BadReplyError("a value is shorter or longer than the reply says")
        yield words[1], Value(message[start:end_of_data], int(words[2]), int(words[4]))


def _are_numbers(words: Sequence[bytes]) -> bool:
    return all(word.isdigit() and len(word) <= _DIGITS_MAX for word in words)


def _bytes(key: str | bytes) -> bytes:
    return key.encode() if isinstance(key, str) else key


def _checked(key: str | bytes) -> bytes:
    """Return the key as bytes; ClientError: it cannot be one word of the protocol."""
    key = _bytes(key)
    if not 1 <= len(key) <= protocol.KEY_BYTES_MAX:
        raise ClientError(f"a key of {len(key)} bytes; 1 to {protocol.KEY_BYTES_MAX} are possible")
    if any(byte <= 0x20 or byte == 0x7F for byte in key):
        raise ClientError("a key contains a space or control character")
    return key


def _unexpected(answer: bytes) -> NearmetalError:
    """Make an error from an answer: the server's own refusal, or a broken reply."""
    line = answer.partition(b"\r\n")[0].decode("ascii", "replace")
    if line == "ERROR" or line.startswith(("CLIENT_ERROR ", "SERVER_ERROR ")):
        return ClientError(line)
    return BadReplyError(f"not an answer to this request: {line[:60]!r}")
