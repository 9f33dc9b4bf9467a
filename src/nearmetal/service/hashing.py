"""The keyed hash of services: SipHash-1-3 (Aumasson, Bernstein: SipHash, a fast short-input PRF).

One round for each eight bytes and three at the end; Rust and Python key their tables with the same.
"""

from __future__ import annotations

import struct

from nearmetal.service.buffers import Bytes
from nearmetal.service.bytewise import readable

MASK = (1 << 64) - 1
ROUNDS, LAST_ROUNDS = 1, 3


def keyed_hash(seed: Bytes, data: Bytes, begin: int, end: int) -> int:
    """Return 64 bits, as a signed number, that depend on data[begin:end] and on 16 bytes of seed.

    IndexError: a range is not inside.
    """
    key = struct.unpack("<QQ", readable(seed, 0, 16))
    return signed64(siphash(key, bytes(readable(data, begin, end)), ROUNDS, LAST_ROUNDS))


def siphash(key: tuple[int, int], data: bytes, rounds: int, last_rounds: int) -> int:
    """Return SipHash-rounds-last_rounds of data, unsigned."""
    k0, k1 = key
    v = (
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    )
    whole = len(data) // 8 * 8
    last = int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56
    for word in (*struct.unpack(f"<{whole // 8}Q", data[:whole]), last):
        v0, v1, v2, v3 = _rounds((v[0], v[1], v[2], v[3] ^ word), rounds)
        v = (v0 ^ word, v1, v2, v3)
    v = _rounds((v[0], v[1], v[2] ^ 0xFF, v[3]), last_rounds)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def signed64(value: int) -> int:
    """Return the signed number with the same low 64 bits."""
    return ((value + (1 << 63)) & MASK) - (1 << 63)


def _rounds(v: tuple[int, int, int, int], count: int) -> tuple[int, int, int, int]:
    v0, v1, v2, v3 = v
    for _ in range(count):
        v0 = (v0 + v1) & MASK
        v2 = (v2 + v3) & MASK
        v1 = _left(v1, 13) ^ v0
        v3 = _left(v3, 16) ^ v2
        v0 = _left(v0, 32)
        v2 = (v2 + v1) & MASK
        v0 = (v0 + v3) & MASK
        v1 = _left(v1, 17) ^ v2
        v3 = _left(v3, 21) ^ v0
        v2 = _left(v2, 32)
    return v0, v1, v2, v3


def _left(value: int, bits: int) -> int:
    return (value << bits | value >> (64 - bits)) & MASK
