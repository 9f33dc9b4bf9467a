"""memcached's words, numbers and frames, as docs/service.md describes them.

Shared by the model, the client and the tests: limits, the bytes of answers, splitting a line into
words, parsing a word as a number, cutting a message into datagrams.
"""

from __future__ import annotations

import re

FRAME_BYTES = 8  # request id, sequence, total, reserved: big-endian 16 bits each
DATAGRAM_BYTES = 1400  # longest reply datagram, frame included
DATAGRAMS_MAX = 64  # most datagrams of one reply
BODY_BYTES = DATAGRAM_BYTES - FRAME_BYTES
MESSAGE_BYTES_MAX = BODY_BYTES * DATAGRAMS_MAX
KEY_BYTES_MAX = 250
VALUE_BYTES_MAX = 65_535
U64 = 2**64

ERROR = b"ERROR\r\n"
END = b"END\r\n"
OK = b"OK\r\n"
STORED = b"STORED\r\n"
NOT_STORED = b"NOT_STORED\r\n"
EXISTS = b"EXISTS\r\n"
NOT_FOUND = b"NOT_FOUND\r\n"
DELETED = b"DELETED\r\n"
TOUCHED = b"TOUCHED\r\n"
BAD_FORMAT = b"CLIENT_ERROR bad command line format\r\n"
BAD_DELETE = b"CLIENT_ERROR bad command line format.  Usage: delete <key> [noreply]\r\n"
BAD_CHUNK = b"CLIENT_ERROR bad data chunk\r\n"
BAD_EXPTIME = b"CLIENT_ERROR invalid exptime argument\r\n"
BAD_DELTA = b"CLIENT_ERROR invalid numeric delta argument\r\n"
NOT_NUMERIC = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"
NOT_ALLOWED = b"CLIENT_ERROR not allowed\r\n"
TOO_LARGE = b"SERVER_ERROR reply too large\r\n"

# Names and order of memcached 1.6.18, which metrics exporters expect.
STAT_NAMES = tuple(
    """pid uptime time version libevent pointer_size rusage_user rusage_system max_connections
    curr_connections total_connections rejected_connections connection_structures response_obj_oom
    response_obj_count response_obj_bytes read_buf_count read_buf_bytes read_buf_bytes_free
    read_buf_oom reserved_fds cmd_get cmd_set cmd_flush cmd_touch cmd_meta get_hits get_misses
    get_expired get_flushed delete_misses delete_hits incr_misses incr_hits decr_misses decr_hits
    cas_misses cas_hits cas_badval touch_hits touch_misses store_too_large store_no_memory auth_cmds
    auth_errors bytes_read bytes_written limit_maxbytes accepting_conns listen_disabled_num
    time_in_listen_disabled_us threads conn_yields hash_power_level hash_bytes hash_is_expanding
    slab_reassign_rescues slab_reassign_chunk_rescues slab_reassign_evictions_nomem
    slab_reassign_inline_reclaim slab_reassign_busy_items slab_reassign_busy_deletes
    slab_reassign_running slabs_moved lru_crawler_running lru_crawler_starts lru_maintainer_juggles
    malloc_fails log_worker_dropped log_worker_written log_watcher_skipped log_watcher_sent
    log_watchers unexpected_napi_ids round_robin_fallback bytes curr_items total_items
    slab_global_page_pool expired_unfetched evicted_unfetched evicted_active evictions reclaimed
    crawler_reclaimed crawler_items_checked lrutail_reflocked moves_to_cold moves_to_warm
    moves_within_lru direct_reclaims lru_bumps_dropped""".split()  # noqa: SIM905
)


# As strtoull parses: NUL or white space ends a number.
_NUMBER = re.compile(rb"[ \t\n\v\f\r]*([+-]?)0*([0-9]{1,20})(?:[ \t\n\v\f\r\0]|\Z)")


def frame(request_id: bytes, message: bytes) -> list[bytes]:
    """Cut a message into numbered datagrams that carry the request's id."""
    total = -(-len(message) // BODY_BYTES)
    return [
        request_id
        + i.to_bytes(2, "big")
        + total.to_bytes(2, "big")
        + b"\0\0"
        + message[i * BODY_BYTES : (i + 1) * BODY_BYTES]
        for i in range(total)
    ]


def split_words(line: bytes) -> list[bytes]:
    """Split a line at spaces, up to a NUL or its end."""
    if line.endswith(b"\r"):
        line = line[:-1]
    return [word for word in line.partition(b"\0")[0].split(b" ") if word]


def says_noreply(words: list[bytes], first: int = 1) -> bool:
    """Whether the last word is noreply; first: smallest index at which it is allowed."""
    return len(words) > first and words[-1] == b"noreply"


def signed(text: bytes) -> int | None:
    """Parse a signed 64-bit number and cut it to 32 bits, as memcached does; None: not one."""
    match = _NUMBER.match(text)
    if match is None:
        return None
    number = int(match[1] + match[2])
    return (number + 2**31) % 2**32 - 2**31 if -(2**63) <= number < 2**63 else None


def unsigned(text: bytes) -> int | None:
    """Parse an unsigned 64-bit number; None: not one.

    -n is 2^64 - n, but only if that is below 2^63.
    """
    match = _NUMBER.match(text)
    if match is None or int(match[2]) >= U64:
        return None
    number = int(match[1] + match[2]) % U64
    return None if match[1] == b"-" and number >= 2**63 else number
