"""Statistics over the rounds: median with its interval, percentiles of merged histograms."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from statistics import median

from hdrh.histogram import HdrHistogram

from nearmetal.errors import BadInputError
from nearmetal.report.row import Interval, IntervalKind, Latency

BCA_ROUNDS_MIN = 7  # with fewer, a bootstrap of the median says less than lowest and highest
BCA_RESAMPLES = 9999
LATENCY_NS_MAX = 1_000_000_000  # largest value of the generator's buckets
LATENCY_DIGITS = 3


def interval(values: Sequence[float]) -> tuple[IntervalKind, Interval]:
    """Median and interval: lowest and highest, or from BCA_ROUNDS_MIN values on BCa 95 %."""
    middle, low, high = median(values), min(values), max(values)
    kind: IntervalKind = "minmax"
    if len(values) >= BCA_ROUNDS_MIN and (ends := _bca95(values)):
        kind, (low, high) = "bca95", ends
    return kind, Interval(median=middle, low=low, high=high)


def percentiles(buckets: Iterable[tuple[int, int]]) -> Latency:
    """Merge the HDR buckets of all rounds and read the percentiles.

    BadInputError: a value is larger than LATENCY_NS_MAX.
    """
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
    """BCa 95 % interval; None: undefined, as the median is the same without any one round."""
    # scipy belongs to the extra `report`; runs with few rounds do not need it.
    import numpy
    from scipy.stats import bootstrap  # type: ignore[attr-defined]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns of the undefined case, which gives NaN below
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
    return max(low, min(values)), min(high, max(values))  # interpolation may overshoot by a bit
