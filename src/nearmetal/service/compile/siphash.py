"""The compiled form of keyed_hash (nearmetal/service/hashing.py): SipHash-1-3.

Written in the subset; its caller has checked the ranges.
"""

from __future__ import annotations

from typing import Any

from nearmetal.service.compile.operations import rotated
from nearmetal.service.compile.ranges import little64_at

V0, V1, V2, V3 = (
    0x736F6D6570736575,
    0x646F72616E646F6D,
    0x6C7967656E657261,
    0x7465646279746573,
)
LAST_ROUNDS = 3


def keyed_hash(seed: Any, data: Any, begin: int, end: int) -> int:
    """Return the hash of data[begin:end]."""
    k0, k1 = little64_at(seed, 0), little64_at(seed, 8)
    v0, v1, v2, v3 = k0 ^ V0, k1 ^ V1, k0 ^ V2, k1 ^ V3
    at = begin
    while at + 8 <= end:
        word = little64_at(data, at)
        v0, v1, v2, v3 = _round(v0, v1, v2, v3 ^ word)
        v0 ^= word
        at += 8
    last = (end - begin) << 56
    shift = 0
    while at < end:
        last |= data[at] << shift
        at += 1
        shift += 8
    v0, v1, v2, v3 = _round(v0, v1, v2, v3 ^ last)
    v0 ^= last
    v2 ^= 0xFF
    for _ in range(LAST_ROUNDS):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


def _round(v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    v0 += v1
    v2 += v3
    v1 = rotated(v1, 13) ^ v0
    v3 = rotated(v3, 16) ^ v2
    v0 = rotated(v0, 32)
    v2 += v1
    v0 += v3
    v1 = rotated(v1, 17) ^ v2
    v3 = rotated(v3, 21) ^ v0
    v2 = rotated(v2, 32)
    return v0, v1, v2, v3
