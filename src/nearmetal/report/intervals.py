"""What so many rounds tell: a median with its interval, percentiles of merged histograms."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from statistics import median

from hdrh.histogram import HdrHistogram

from nearmetal.errors import BadInputError
from nearmetal.report.row import Interval, IntervalKind, Latency

BCA_ROUNDS_MIN = 7  # below that, a bootstrap of the median says less than its two ends
BCA_RESAMPLES = 9999
LATENCY_NS_MAX = 1_000_000_000  # as the generator's own buckets
LATENCY_DIGITS = 3


def interval(values: Sequence[float]) -> tuple[IntervalKind, Interval]:
    """Median, and the interval that so many rounds allow."""
    middle, low, high = median(values), min(values), max(values)
    kind: IntervalKind = "minmax"
    if len(values) >= BCA_ROUNDS_MIN and (ends := _bca95(values)):
        kind, (low, high) = "bca95", ends
    return kind, Interval(median=middle, low=low, high=high)


def percentiles(buckets: Iterable[tuple[int, int]]) -> Latency:
    """Merge HDR buckets of any number of rounds and read the percentiles."""
    histogram = HdrHistogram(1, LATENCY_NS_MAX, LATENCY_DIGITS)
    for value_ns, count in buckets:
        if not histogram.record_value(value_ns, count):
            raise BadInputError(f"samples.jsonl holds a latency of {value_ns} ns, outside 0..1 s")
    if histogram.total_count == 0:
        return Latency()
    return Latency(
        p50=histogram.get_value_at_percentile(50),
        p99=histogram.get_value_at_percentile(99),
        p999=histogram.get_value_at_percentile(99.9),
        hdr=histogram.encode().decode("ascii"),
    )


def _bca95(values: Sequence[float]) -> tuple[float, float] | None:
    """None where BCa is undefined: leaving any one round out leaves the median where it was."""
    # scipy belongs to the extra `report`; runs of few rounds do without it.
    import numpy
    from scipy.stats import bootstrap  # type: ignore[attr-defined]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about exactly that; the NaN below is the answer
        result = bootstrap(
            (numpy.asarray(values),),
            numpy.median,
            confidence_level=0.95,
            n_resamples=BCA_RESAMPLES,
            method="BCa",
            rng=numpy.random.default_rng(1),  # the same samples give the same report
        )
    low, high = map(float, result.confidence_interval)
    if math.isnan(low) or math.isnan(high):
        return None
    return max(low, min(values)), min(high, max(values))  # interpolation may miss the last bit
