"""The keyed hash: the published vectors of SipHash, and Python's own hash of bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from nearmetal.service import keyed_hash
from nearmetal.service.hashing import signed64, siphash

# The paper's example (appendix A) and the first of its authors' vectors: key 00 01 ... 0f.
KEY = (0x0706050403020100, 0x0F0E0D0C0B0A0908)


def test_it_gives_the_published_values() -> None:
    assert siphash(KEY, bytes(range(15)), 2, 4) == 0xA129CA6149BE45E5
    assert siphash(KEY, b"", 2, 4) == 0x726FDB47DD0E0E31


@pytest.mark.skipif(
    sys.hash_info.algorithm != "siphash13", reason="this Python hashes bytes in another way"
)
def test_it_is_the_hash_that_python_has() -> None:
    text = "import json; print(json.dumps([hash(bytes(range(n))) for n in range(1, 100)]))"
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    said = subprocess.run(
        [sys.executable, "-c", text], env=environment, capture_output=True, check=True
    ).stdout
    key = bytes(16)
    mine = [keyed_hash(key, b"-" + bytes(range(n)) + b"-", 1, n + 1) for n in range(1, 100)]
    assert mine == json.loads(said)


def test_a_range_outside_is_an_error() -> None:
    for seed, data, begin, end in ((bytes(15), b"ab", 0, 2), (bytes(16), b"ab", 1, 3)):
        with pytest.raises(IndexError):
            keyed_hash(seed, data, begin, end)


def test_signed() -> None:
    assert [signed64(value) for value in (0, 2**63 - 1, 2**63, 2**64 - 1, -1)] == [
        *(0, 2**63 - 1, -(2**63), -1, -1)
    ]
