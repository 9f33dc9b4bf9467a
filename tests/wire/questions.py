"""Generated datagrams for the differential and the property tests.

Only whole commands: cut datagrams, the names of stats and all else in exceptions.toml are tested by
the corpus. `<cas KEY>` stands for the id that the server last showed for that key (session.py).
"""

from __future__ import annotations

import re

from hypothesis import strategies as st

KEYS = (b"a", b"b", b"nm0000000000007", b"k" * 250)
TOO_LONG = b"k" * 251

keys = st.sampled_from([KEYS[0]] * 4 + [KEYS[1]] * 2 + [*KEYS])
flags = st.sampled_from(
    [b"0"] * 8 + [b"1", b"4294967295", b"4294967296", b"007", b"x", b"-1", b"1x"]
)
# Never a few seconds: memcached has its own clock.
exptimes = st.sampled_from(
    [b"0"] * 12 + [b"-1", b"1000", b"2592001", b"2147483647", b"x", b"1000 "]
)
numbers = st.one_of(
    st.integers(0, 120).map(lambda n: b"%d" % n),
    st.integers(0, 2**64).map(lambda n: b"%d" % n),
    st.sampled_from([b"0", b"1", b"99", b"18446744073709551615", b"9223372036854775807", b"007"]),
)
# No '-': see the exception for numbers of 2^63 and above.
values = st.one_of(
    numbers,
    numbers,
    st.binary(max_size=40).map(lambda b: b"v" + b.replace(b"-", b"_")),
    st.integers(0, 2500).map(lambda n: b"0123456789abcdef" * (n // 16) + b"y" * (n % 16)),
    st.sampled_from([b"", b"12 ", b"7 x", b"x\r\nEND", b"5\r\n"]),
)
noreply = st.sampled_from([b"", b"", b"", b" noreply", b" x"])


@st.composite
def storage(draw: st.DrawFn) -> bytes:
    """A storage command, sometimes with a wrong length."""
    name = draw(st.sampled_from([b"set"] * 4 + [b"add", b"replace", b"append", b"prepend", b"cas"]))
    key, value = draw(keys), draw(values)
    wrong = draw(st.sampled_from([0] * 12 + [-1, -2]))
    length = max(len(value) + wrong, 0)
    cas = draw(st.sampled_from([b" <cas %b>" % key] * 3 + [b" 0"])) if name == b"cas" else b""
    line = (name, key, draw(flags), draw(exptimes), b"%d" % length)
    return b" ".join(line) + cas + draw(noreply) + b"\r\n" + value + b"\r\n"


@st.composite
def retrieval(draw: st.DrawFn) -> bytes:
    """A command of the get family."""
    name = draw(st.sampled_from([b"get", b"get", b"gets", b"gets", b"gat", b"gats"]))
    asked = draw(st.lists(st.one_of(keys, st.just(b"nope")), max_size=5))
    if name.startswith(b"gat"):
        asked.insert(0, draw(exptimes).strip())
    return b" ".join([name, *asked]) + draw(st.sampled_from([b"\r\n", b"\r\n", b"\n", b"  \r\n"]))


@st.composite
def change(draw: st.DrawFn) -> bytes:
    """A line that changes one item."""
    key, quiet = draw(keys), draw(noreply)
    match draw(st.sampled_from(["incr", "incr", "decr", "decr", "touch", "delete"])):
        case "touch":
            return b"touch %b %b%b\r\n" % (key, draw(exptimes), quiet)
        case "delete":
            return b"delete %b%b%b\r\n" % (key, draw(st.sampled_from([b"", b" 0", b" 1"])), quiet)
        case name:
            delta = draw(st.one_of(numbers, st.sampled_from([b"x", b"-1", b"1x", b"+1"])))
            return b"%b %b %b%b\r\n" % (name.encode(), key, delta, quiet)


other = st.sampled_from(
    [
        b"flush_all\r\n",
        b"flush_all 0\r\n",
        b"flush_all -1\r\n",
        b"flush_all noreply\r\n",
        b"flush_all x\r\n",
        b"version\r\n",
        b"verbosity 0\r\n",
        b"verbosity x\r\n",
        b"\r\n",
        b" \n",
        b"get\r\n",
        b"GET a\r\n",
        b"set a 0 0\r\n",
        b"set a 0 0 -1\r\n",
        b"incr a\r\n",
        b"touch\r\n",
        b"delete a b c d\r\n",
        b"get a\0b\r\n",
        b"hello " + b"x" * 300 + b"\r\n",
    ]
)
# At the end of a datagram: its data block may consume the next command, or its error may hide it.
alone = st.sampled_from(
    [b"get a " + TOO_LONG + b" b\r\n", b"set " + TOO_LONG + b" 0 0 1\r\nx\r\n", b"gets a a b b\r\n"]
)


@st.composite
def number_story(draw: st.DrawFn) -> list[bytes]:
    """A number that is changed a few times, then read."""
    key, number = draw(keys), draw(numbers)
    changes = draw(st.lists(st.sampled_from([b"incr", b"decr"]), min_size=1, max_size=3))
    return [
        b"set %b 0 0 %d\r\n%b\r\n" % (key, len(number), number),
        *(b"%b %b %b\r\n" % (name, key, draw(numbers)) for name in changes),
        b"get %b\r\n" % key,
    ]


@st.composite
def cas_story(draw: st.DrawFn) -> list[bytes]:
    """A cas id that is read, perhaps made stale, and used."""
    key = draw(keys)
    between = draw(st.one_of(st.just(b""), change(), storage(), retrieval(), other))
    return [
        b"set %b 0 0 1\r\n5\r\n" % key,
        draw(st.sampled_from([b"gets %b\r\n", b"gats 0 %b\r\n"])) % key,
        *([between] if between else []),
        b"cas %b 2 0 1 <cas %b>\r\n6\r\n" % (key, key),
        b"gets %b\r\n" % key,
    ]


command = st.one_of(storage(), storage(), retrieval(), retrieval(), change(), change(), other)


def is_get(line: bytes) -> bool:
    """Whether a command is of the get family."""
    return line.startswith((b"get", b"gat"))


def draws_error(line: bytes) -> bool:
    """Whether memcached answers a command of the get family with an error."""
    name, *words = line.split()
    has_time = not name.startswith(b"gat") or re.fullmatch(rb"-?\d+", b"".join(words[:1]))
    return not has_time or len(words) < (2 if name.startswith(b"gat") else 1)


# Gets last: memcached does not always pad a number that an answer of the same datagram holds. After
# some thousand datagrams a memcached no longer answers an error that follows a get in its datagram,
# as that of a `get` without keys; so those are asked alone, and there is no '-'.
several = (
    st.lists(command, min_size=2, max_size=5)
    .map(lambda many: [one for one in many if not (is_get(one) and draws_error(one))])
    .map(lambda many: b"".join(sorted(many, key=is_get)))
    .filter(lambda datagram: datagram and b"-" not in datagram)
)
datagram = st.one_of(command, several, alone)
_stories = st.one_of(datagram.map(lambda one: [one]), number_story(), cas_story())
datagrams = st.lists(_stories, min_size=2, max_size=10).map(
    lambda stories: [one for story in stories for one in story]
)
