"""Ceilings: the rate of a null responder, the most that the generator can do on its wire.

Other rows are judged by the ceiling. If some rounds of the null responder failed, the ceiling is
the median of the other rounds, and every row that is judged by it says why a round is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from nearmetal.report.row import Row
from nearmetal.samples import Sample


@dataclass(frozen=True)
class Ceiling:
    """Ceiling at one point of a run."""

    per_s: float | None
    missing: str  # why there is none, or why rounds are missing; "" if all are there


def of(
    taken: Sequence[Sample],
    fault: Callable[[Sample], str],
    row: Callable[[Sequence[Sample]], Row],
) -> Ceiling:
    """Compute the ceiling from a null responder's trials.

    fault: why a trial does not count, "" if it does; row: makes a row from trials.
    """
    good = [trial for trial in taken if not fault(trial)]
    whole = row(taken)
    if not good:
        return Ceiling(None, whole.reason)
    missing = len(taken) - len(good)
    told = f"{len(good)} of {len(taken)} rounds gave a figure; {whole.reason}" if missing else ""
    return Ceiling(row(good).replies_per_s.median, told)
