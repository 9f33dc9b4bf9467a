"""The generator's histogram stores and reports every value as HdrHistogram does."""

from __future__ import annotations

import random
import subprocess
from collections import Counter

from hdrh.histogram import HdrHistogram

import tool

HIGHEST_NS = 10**9


def test_values_and_counts_are_hdr_histograms() -> None:
    values = edges() + spread(20_000)
    program = tool.sanitized_path("print-record")
    done = subprocess.run(
        [program], input="\n".join(map(str, values)), capture_output=True, text=True, check=True
    )
    found = {int(value): int(count) for value, count in map(str.split, done.stdout.splitlines())}

    histogram = HdrHistogram(1, HIGHEST_NS, 3)
    expected: Counter[int] = Counter()
    for value in values:
        expected[mid_point(histogram, min(value, HIGHEST_NS))] += 1
    assert found == dict(expected)


def mid_point(histogram: HdrHistogram, value: int) -> int:
    """Return HdrHistogram's median-equivalent value, from the ends of its own bucket."""
    low = histogram.get_lowest_equivalent_value(value)
    width = histogram.get_highest_equivalent_value(value) + 1 - low
    return int(low + width // 2)


def edges() -> list[int]:
    """Return values around every power of two, where buckets meet, and around the highest value."""
    powers = [2**bit + near for bit in range(30) for near in (-1, 0, 1)]
    return [value for value in powers if value >= 1] + [HIGHEST_NS - 1, HIGHEST_NS, HIGHEST_NS * 5]


def spread(count: int) -> list[int]:
    """Return log-uniform values from 1 ns to 1 s."""
    draw = random.Random(1)
    return [int(10 ** draw.uniform(0, 9)) for _ in range(count)]
