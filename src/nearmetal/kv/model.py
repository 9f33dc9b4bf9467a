"""The service `kv` in plain Python: read this file to learn what the service does.

It is the executable specification of docs/service.md, the oracle of the property tests, and the
service behind the rung host-py. Its own oracle is memcached 1.6.18: tests/wire compares bytes.

`Model.handle` takes one datagram and returns the reply's datagrams. A datagram is a list of lines
(`_message`), a line is a command (`_command`, `_storage`), and each command has a small function.
Time is in whole seconds and is given by the caller.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from nearmetal.kv import protocol
from nearmetal.kv.admission import EVERYTHING, Rights
from nearmetal.kv.protocol import frame, says_noreply, signed, split_words, unsigned

AMPLIFICATION_MAX = 3  # reply bytes per request byte, for a source that is not trusted
ITEM_BYTES = 32  # charge per item beyond key and value, like the native store's
MONTH_S = 60 * 60 * 24 * 30  # a larger exptime is a Unix time
VERSION = b"nearmetal-0.1.0"


class Reply(NamedTuple):
    """Reply to one request. drop: a name of native/include/drop.h; "answered" with datagrams."""

    datagrams: list[bytes]
    drop: str


class Item(NamedTuple):
    """One stored item; immutable, replaced as a whole."""

    value: bytes
    flags: int
    expires_s: int  # Unix time; 0: never
    cas: int


class Model:
    """The store and its protocol. memory_bytes bounds the sum of key + value + ITEM_BYTES."""

    def __init__(self, memory_bytes: int = 64 << 20, now_s: int = 0, pid: int = 0) -> None:
        self.counts = dict.fromkeys(protocol.STAT_NAMES, 0) | {
            "pid": pid,
            "limit_maxbytes": memory_bytes,
        }
        self.items: OrderedDict[bytes, Item] = OrderedDict()  # least recently used first
        self.live_bytes = 0  # keys and values
        self.expired_count = 0
        self._memory_bytes = memory_bytes
        self._started_s = self._now_s = now_s
        self._last_cas = 0
        self._flush_at_s: int | None = None
        self._commands: dict[bytes, tuple[_Command, int, int]] = {
            # name: function, fewest and most words
            b"get": (self._get, 2, _MANY),
            b"gets": (self._get, 2, _MANY),
            b"gat": (self._gat, 2, _MANY),
            b"gats": (self._gat, 2, _MANY),
            b"incr": (self._arithmetic, 3, 4),
            b"decr": (self._arithmetic, 3, 4),
            b"touch": (self._touch, 3, 4),
            b"delete": (self._delete, 2, 4),
            b"flush_all": (self._flush_all, 1, 3),
            b"verbosity": (_verbosity, 2, 3),
            b"version": (_version, 1, _MANY),
            b"stats": (self._stats, 1, 1),
        }

    def handle(self, request: bytes, now_s: int, rights: Rights = EVERYTHING) -> Reply:
        """Execute one request datagram. now_s: Unix time, never decreasing."""
        if len(request) <= protocol.FRAME_BYTES:
            return Reply([], "short")
        if not rights.allowed:
            return Reply([], "source")
        if request[4:6] != b"\0\1":
            return Reply([], "total")
        if request[protocol.FRAME_BYTES] == 0x80:
            return Reply([], "binary")
        self._now_s = now_s
        if self._flush_at_s is not None and now_s >= self._flush_at_s:
            self._forget_all()
        message = self._message(request[protocol.FRAME_BYTES :], rights)
        if not message:
            return Reply([], "quiet")
        return _framed(message, request, rights)

    def evict(self, key: bytes) -> None:
        """Remove a key to make room; does nothing if the key is not stored."""
        if key in self.items:
            self._remove(key)
            self.counts["evictions"] += 1

    # Datagrams: a list of lines; a storage command's data block follows its line.

    def _message(self, data: bytes, rights: Rights) -> bytes:
        """Execute all commands and join their answers; stops collecting above the largest reply."""
        answers = []
        answers_bytes = position = 0
        while position < len(data):
            end = data.find(b"\n", position)
            if end < 0:
                answer, position = (
                    protocol.ERROR,
                    len(data),
                )  # a line must end within its datagram
            else:
                words = split_words(data[position:end])
                position = end + 1
                if words[:1] == [b"quit"]:
                    break
                if words and words[0] in _STORAGE_WORDS:
                    answer, position = self._storage(words, data, position)
                else:
                    answer = self._command(words, rights)
            if answers_bytes <= protocol.MESSAGE_BYTES_MAX:
                answers.append(answer)
                answers_bytes += len(answer)
        return b"".join(answers)

    def _command(self, words: list[bytes], rights: Rights) -> bytes:
        """Execute a line without a data block."""
        command, fewest, most = self._commands.get(words[0] if words else b"", _UNKNOWN)
        if not fewest <= len(words) <= most:
            return protocol.ERROR
        name = words[0]
        allowed = rights.admin or name not in _ADMIN_ONLY
        answer = command(words) if allowed else protocol.NOT_ALLOWED
        quiet = name in _MAY_BE_QUIET and says_noreply(words, _MAY_BE_QUIET[name])
        return b"" if quiet else answer

    def _storage(self, words: list[bytes], data: bytes, position: int) -> tuple[bytes, int]:
        """Execute a line whose data block starts at position; returns answer and next position."""
        fewest = _STORAGE_WORDS[words[0]]
        if not fewest <= len(words) <= fewest + 1:
            return protocol.ERROR, position
        key = words[1]
        flags, exptime, length = unsigned(words[2]), signed(words[3]), signed(words[4])
        cas = unsigned(words[5]) if words[0] == b"cas" else 0
        if (
            len(key) > protocol.KEY_BYTES_MAX
            or (flags is None or exptime is None or length is None or cas is None)
            or not 0 <= length <= 2**31 - 3
        ):
            return (b"" if says_noreply(words) else protocol.BAD_FORMAT), position
        behind = position + length
        if data[behind : behind + 2] == b"\r\n":
            item = Item(data[position:behind], flags % 2**32, self._expiry(exptime), cas)
            answer = self._store(words[0], key, item)
        else:
            answer = protocol.BAD_CHUNK
        return (b"" if says_noreply(words) else answer), behind + 2

    # Commands.

    def _store(self, name: bytes, key: bytes, new: Item) -> bytes:
        """Execute set, add, replace, append, prepend or cas.

        cas: new.cas is the id that the stored item must still have.
        """
        self.counts["cmd_set"] += 1
        if name != b"set":
            old = self._find(key)
            if name == b"cas" and old is None:
                self.counts["cas_misses"] += 1
                return protocol.NOT_FOUND
            if name == b"cas" and old is not None and old.cas != new.cas:
                self.counts["cas_badval"] += 1
                return protocol.EXISTS
            if (old is None) != (name == b"add"):
                return protocol.NOT_STORED
            if name == b"append" and old is not None:
                new = old._replace(value=old.value + new.value)
            elif name == b"prepend" and old is not None:
                new = old._replace(value=new.value + old.value)
            if len(new.value) > protocol.VALUE_BYTES_MAX:
                return protocol.NOT_STORED
            self.counts["cas_hits"] += name == b"cas"
        self._put(key, new)
        return protocol.STORED

    def _get(self, words: list[bytes]) -> bytes:
        return self._values(words[1:], with_cas=words[0] == b"gets", expires_s=None)

    def _gat(self, words: list[bytes]) -> bytes:
        exptime = signed(words[1])
        if exptime is None:
            return protocol.BAD_EXPTIME
        with_cas = words[0] == b"gats"
        return self._values(words[2:], with_cas=with_cas, expires_s=self._expiry(exptime))

    def _values(self, keys: list[bytes], *, with_cas: bool, expires_s: int | None) -> bytes:
        """Return the items of the stored keys, and protocol.END; gat sets their expiry time."""
        counts = self.counts
        parts = []
        parts_bytes = 0
        for key in keys:
            if len(key) > protocol.KEY_BYTES_MAX:
                return protocol.BAD_FORMAT
            item = self._find(key)
            counts["cmd_get"] += 1
            if item is None:
                counts["get_misses"] += 1
                continue
            counts["get_hits"] += 1
            if expires_s is not None:
                self.items[key] = item._replace(expires_s=expires_s)
                counts["cmd_touch"] += 1
                counts["touch_hits"] += 1
            if parts_bytes <= protocol.MESSAGE_BYTES_MAX:  # else the reply is too large anyway
                cas = b" %d" % item.cas if with_cas else b""
                value = item.value
                part = b"VALUE %b %d %d%b\r\n%b\r\n" % (key, item.flags, len(value), cas, value)
                parts.append(part)
                parts_bytes += len(part)
        parts.append(protocol.END)
        return b"".join(parts)

    def _arithmetic(self, words: list[bytes]) -> bytes:
        """Execute incr (wraps at 2^64) or decr (stops at 0); pads a shorter number with spaces."""
        key, delta = words[1], unsigned(words[2])
        if len(key) > protocol.KEY_BYTES_MAX:
            return protocol.BAD_FORMAT
        if delta is None:
            return protocol.BAD_DELTA
        name = words[0].decode()
        item = self._find(key)
        self.counts[name + ("_misses" if item is None else "_hits")] += 1
        if item is None:
            return protocol.NOT_FOUND
        number = unsigned(item.value)
        if number is None:
            return protocol.NOT_NUMERIC
        number = (number + delta) % protocol.U64 if name == "incr" else max(number - delta, 0)
        text = b"%d" % number
        self._put(key, item._replace(value=text.ljust(len(item.value))))
        return text + b"\r\n"

    def _touch(self, words: list[bytes]) -> bytes:
        key, exptime = words[1], signed(words[2])
        if len(key) > protocol.KEY_BYTES_MAX:
            return protocol.BAD_FORMAT
        if exptime is None:
            return protocol.BAD_EXPTIME
        self.counts["cmd_touch"] += 1
        item = self._find(key)
        if item is None:
            self.counts["touch_misses"] += 1
            return protocol.NOT_FOUND
        self.counts["touch_hits"] += 1
        self.items[key] = item._replace(expires_s=self._expiry(exptime))
        return protocol.TOUCHED

    def _delete(self, words: list[bytes]) -> bytes:
        if words[2:] not in ([], [b"0"], [b"noreply"], [b"0", b"noreply"]):
            return protocol.BAD_DELETE
        if len(words[1]) > protocol.KEY_BYTES_MAX:
            return protocol.BAD_FORMAT
        if self._find(words[1]) is None:
            self.counts["delete_misses"] += 1
            return protocol.NOT_FOUND
        self.counts["delete_hits"] += 1
        self._remove(words[1])
        return protocol.DELETED

    def _flush_all(self, words: list[bytes]) -> bytes:
        """Delete all items, now or at a later second; a later flush_all replaces a pending one."""
        arguments = words[1:-1] if says_noreply(words) else words[1:]
        exptime = signed(arguments[0]) if arguments else 0
        if exptime is None:
            return protocol.BAD_EXPTIME
        self.counts["cmd_flush"] += 1
        self._flush_at_s = self._expiry(max(exptime, 0))
        if self._flush_at_s <= self._now_s:
            self._forget_all()
        return protocol.OK

    def _stats(self, words: list[bytes]) -> bytes:
        values: dict[str, object] = {
            **self.counts,
            "uptime": self._now_s - self._started_s,
            "time": self._now_s,
            "version": VERSION.decode(),
            "libevent": "none",
            "pointer_size": 64,
            "threads": 1,
            "accepting_conns": 1,
            "bytes": self.live_bytes + ITEM_BYTES * len(self.items),
            "curr_items": len(self.items),
        }
        return (
            b"".join(f"STAT {name} {values[name]}\r\n".encode() for name in protocol.STAT_NAMES)
            + protocol.END
        )

    # The store.

    def _find(self, key: bytes) -> Item | None:
        """Return a live item and make it the most recently used."""
        item = self.items.get(key)
        if item is None:
            return None
        if 0 < item.expires_s <= self._now_s:
            self._remove(key)
            self.expired_count += 1
            return None
        self.items.move_to_end(key)
        return item

    def _put(self, key: bytes, item: Item) -> None:
        if key in self.items:
            self._remove(key)
        self._last_cas += 1
        self.items[key] = item._replace(cas=self._last_cas)
        self.live_bytes += len(key) + len(item.value)
        self.counts["total_items"] += 1
        while self.live_bytes + ITEM_BYTES * len(self.items) > self._memory_bytes:
            self.evict(next(iter(self.items)))

    def _remove(self, key: bytes) -> None:
        self.live_bytes -= len(key) + len(self.items.pop(key).value)

    def _forget_all(self) -> None:
        self.items.clear()
        self.live_bytes = 0
        self._flush_at_s = None

    def _expiry(self, exptime: int) -> int:
        """Convert an exptime to Unix time; 0 stays 0 (never), negative becomes 1 (expired)."""
        if exptime < 0:
            return 1
        return exptime if exptime == 0 or exptime > MONTH_S else self._now_s + exptime


_Command = Callable[[list[bytes]], bytes]
_MANY = 1 << 16  # more words than a datagram holds
_UNKNOWN: tuple[_Command, int, int] = (lambda words: protocol.ERROR, 1, _MANY)
_STORAGE_WORDS = {  # fewest words; one more may follow
    b"set": 5,
    b"add": 5,
    b"replace": 5,
    b"append": 5,
    b"prepend": 5,
    b"cas": 6,
}
_ADMIN_ONLY = frozenset({b"stats", b"flush_all", b"verbosity"})
_MAY_BE_QUIET = {  # smallest index of noreply: `delete noreply` deletes the key "noreply"
    b"incr": 1,
    b"decr": 1,
    b"touch": 1,
    b"delete": 2,
    b"flush_all": 1,
    b"verbosity": 1,
}


def _framed(message: bytes, request: bytes, rights: Rights) -> Reply:
    """Cut a message into the reply's datagrams; too large for the source: an error or a drop."""
    limit = protocol.DATAGRAMS_MAX * protocol.DATAGRAM_BYTES
    if not rights.trusted:
        limit = min(limit, AMPLIFICATION_MAX * len(request))
    datagrams = frame(request[:2], message)
    if sum(map(len, datagrams)) > limit:
        datagrams = frame(request[:2], protocol.TOO_LARGE)
        if len(datagrams[0]) > limit:
            return Reply([], "amplify")
    return Reply(datagrams, "answered")


def _version(words: list[bytes]) -> bytes:
    return b"VERSION " + VERSION + b"\r\n"


def _verbosity(words: list[bytes]) -> bytes:
    """Check the argument; the command has no effect."""
    return protocol.BAD_FORMAT if unsigned(words[1]) is None else protocol.OK
