"""Cases: rights of sources, and reply limits of sources that are not trusted.

The server has the lists case.GUARDED.
"""

from __future__ import annotations

from nearmetal.kv.corpus.case import Case, ask, case, got, put, silent
from nearmetal.kv.protocol import END, ERROR, NOT_ALLOWED, OK, STORED, TOO_LARGE

_TRUSTED = "127.0.0.2"
_STRANGER = "127.0.0.3"
_ADMIN = "127.0.0.5"  # but not trusted
_OUTSIDE = "127.0.0.9"

_KEY = b"k" * 39

# fmt: off
GUARD: tuple[Case, ...] = (
    case("outside-is-dropped", silent(b"get a\r\n", "source", _OUTSIDE),
         silent(put(b"a", b"x"), "source", _OUTSIDE), (b"get a\r\n", END)),
    case("allowed-sources", ask(put(b"a", b"x"), STORED, _STRANGER),
         ask(b"get a\r\n", got(b"a", b"x"), _TRUSTED), ask(b"get a\r\n", got(b"a", b"x"), _ADMIN),
         (b"get a\r\n", got(b"a", b"x"))),
    case("admin-only", ask(put(b"a", b"x"), STORED, _TRUSTED),
         ask(b"flush_all\r\n", NOT_ALLOWED, _TRUSTED),
         ask(b"flush_all 0\r\n", NOT_ALLOWED, _STRANGER),
         ask(b"flush_all x\r\n", NOT_ALLOWED, _STRANGER),
         ask(b"verbosity 1\r\n", NOT_ALLOWED, _TRUSTED), ask(b"stats\r\n", NOT_ALLOWED, _STRANGER),
         ask(b"get a\r\n", got(b"a", b"x"), _STRANGER), ask(b"flush_all\r\n", OK, _ADMIN),
         ask(b"get a\r\n", END, _STRANGER)),
    case("admin-only-words-first", ask(b"verbosity\r\n", ERROR, _TRUSTED),
         ask(b"stats x\r\n", ERROR, _TRUSTED), ask(b"flush_all 1 2 3\r\n", ERROR, _TRUSTED)),
    case("admin-only-noreply", ask(put(b"a", b"x"), STORED, _TRUSTED),
         silent(b"flush_all noreply\r\n", "quiet", _TRUSTED),
         silent(b"verbosity 1 noreply\r\n", "quiet", _TRUSTED),
         ask(b"get a\r\n", got(b"a", b"x"), _TRUSTED)),
    case("admin-only-beside-others",
         ask(b"get a\r\nflush_all\r\nget a\r\n", END + NOT_ALLOWED + END, _TRUSTED)),
    case("stranger-small-get", ask(put(b"a", b"x"), STORED), ask(b"get a\r\n", got(b"a", b"x"),
         _STRANGER)),
    case("stranger-stats-15-bytes", ask(b"stats\r\n", TOO_LARGE, _ADMIN)),
    case("stranger-repeated-key-93-bytes", ask(put(_KEY, b"v" * 20_000), STORED),
         ask(b"get " + _KEY + b" " + _KEY + b"\r\n", TOO_LARGE, _STRANGER)),
    case("stranger-exactly-3-times", ask(put(b"k", b"v" * 5), STORED),
         ask(b"get k\n", got(b"k", b"v" * 5), _STRANGER),  # request 14 bytes, reply 34
         ask(put(b"k", b"v" * 13), STORED), ask(b"get k\n", got(b"k", b"v" * 13), _STRANGER),
         ask(put(b"k", b"v" * 14), STORED), ask(b"get k\n", TOO_LARGE, _STRANGER),
         ask(put(b"k", b"v" * 16), STORED), ask(b"get k\r\n", got(b"k", b"v" * 16), _STRANGER),
         ask(put(b"k", b"v" * 17), STORED), ask(b"get k\r\n", TOO_LARGE, _STRANGER),
         ask(b"get k\r\n", got(b"k", b"v" * 17), _TRUSTED)),
    case("stranger-too-large-is-carried-out", ask(put(b"a", b"v" * 900), STORED),
         ask(b"get a\r\nset b 0 0 1\r\nx\r\n", TOO_LARGE, _STRANGER),
         (b"get b\r\n", got(b"b", b"x"))),
    case("stranger-shortest-errors", ask(b"\n", ERROR, _STRANGER),  # request 9 bytes, reply 15
         ask(b"\n\n\n\n", ERROR * 4, _STRANGER),  # request 12 bytes, reply 36
         ask(b"\n\n\n\n\n", TOO_LARGE, _STRANGER)),  # request 13 bytes, reply 38
    case("stranger-several-datagrams", ask(put(b"a", b"v" * 2_000), STORED),
         # Reply: 2,023 bytes of get, 8 of STORED, two frame headers of 8: 2,047 bytes.
         ask(b"get a\r\n" + put(b"c", b"c" * 650), TOO_LARGE, _STRANGER),
         ask(b"get a\r\n" + put(b"c", b"c" * 651), got(b"a", b"v" * 2_000) + STORED, _STRANGER)),
)
