"""Sweeps: one axis of a spec, and the points at which every row is measured.

A file has, under [sweep], one of

    keys = [1_000, 100_000]          the key space; memory grows with it, unless the spec sets it
    window = [1, 4, 16]              requests in flight
    rate = ["50%", "80%", 200_000]   open loop: shares of the row's closed-loop rate, or requests/s
    generators = [1, 2]              on a testbed: how many of its machines generate load
    edition = ["nm-load"]            the edition of the generator (topology/wire.py)

Shares need a peak, so the closed loop is measured first, in the same run, as an additional point.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, get_args

from pydantic import Field, ValidationError, model_validator

from nearmetal.errors import BadInputError
from nearmetal.samples import Frozen, Point
from nearmetal.topology.known import EditionName

Axis = Literal["keys", "window", "rate", "generators", "edition"]
Arrivals = Literal["constant", "poisson"]

GENERATORS_MAX = 16
SHARE_MAX = 1.5  # beyond this an open loop only shows how the generator's window fills
RATE_MAX_PER_S = 1e9


class Sweep(Frozen):
    """A resolved sweep (spec.json): points in the file's order, the closed loop of shares first."""

    axis: Axis
    points: tuple[Point, ...]
    arrivals: Arrivals = "constant"  # of the open loop


class SweepFile(Frozen):
    """The table [sweep] of a spec file."""

    keys: tuple[Annotated[int, Field(ge=1, le=100_000_000)], ...] | None = Field(None, min_length=1)
    window: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] | None = Field(None, min_length=1)
    rate: tuple[Annotated[float, Field(strict=True)] | str, ...] | None = Field(None, min_length=1)
    generators: tuple[Annotated[int, Field(ge=1, le=GENERATORS_MAX)], ...] | None = Field(
        None, min_length=1
    )
    edition: tuple[EditionName, ...] | None = Field(None, min_length=1)
    arrivals: Arrivals | None = None

    @model_validator(mode="after")
    def _whole(self) -> SweepFile:
        known = get_args(Axis)
        axes = [name for name in known if getattr(self, name) is not None]
        if len(axes) != 1:
            got = " and ".join(axes) or "none"
            raise ValueError(f"needs exactly one axis of {', '.join(known)} (got {got})")
        if self.arrivals is not None and self.rate is None:
            raise ValueError("arrivals belong to a rate sweep; a closed loop has none")
        points = self.resolved().points
        for point in points:
            if points.count(point) > 1:
                raise ValueError(f"{axes[0]} names {words(point)} twice")
        return self

    def resolved(self) -> Sweep:
        """Return the sweep with its points."""
        if self.keys is not None:
            return Sweep(axis="keys", points=tuple(Point(keys=keys) for keys in self.keys))
        if self.window is not None:
            return Sweep(axis="window", points=tuple(Point(window=size) for size in self.window))
        if self.generators is not None:
            many = tuple(Point(generators=count) for count in self.generators)
            return Sweep(axis="generators", points=many)
        if self.edition is not None:
            each = tuple(Point(edition=name) for name in self.edition)
            return Sweep(axis="edition", points=each)
        paced = tuple(_paced(each) for each in self.rate or ())
        closed = (Point(),) if any(point.peak_share is not None for point in paced) else ()
        return Sweep(axis="rate", points=(*closed, *paced), arrivals=self.arrivals or "constant")


def points_of(text: str) -> tuple[Point, ...]:
    """Return the points of --sweep of `load`: window=1,4,16 or rate=1e5,2e5.

    Shares are not allowed: the peak of the target is unknown. Raises BadInputError.
    """
    axis, _, values = text.partition("=")
    try:
        numbers = [float(value) for value in values.split(",")]
        if axis not in ("window", "rate") or (axis == "window" and any(n % 1 for n in numbers)):
            raise ValueError
        file = SweepFile.model_validate(
            {axis: [int(n) if axis == "window" else n for n in numbers]}
        )
    except ValidationError as error:
        raise BadInputError(f"--sweep {text}: {_bare(error)}") from None
    except (ValueError, OverflowError):
        raise BadInputError(
            f"--sweep {text}: give an axis and its points, e.g. window=1,4,16 or rate=1e5,2e5"
        ) from None
    return file.resolved().points


def _bare(error: ValidationError) -> str:
    return error.errors()[0]["msg"].removeprefix("Value error, ").removeprefix("Input should ")


def stages(points: tuple[Point, ...]) -> tuple[tuple[Point, ...], ...]:
    """Return the points in stages: shares of the peak follow the points that measure it."""
    waiting = tuple(point for point in points if point.peak_share is not None)
    first = tuple(point for point in points if point.peak_share is None)
    return tuple(stage for stage in (first, waiting) if stage)


def is_open(point: Point) -> bool:
    """Whether requests are sent by a schedule, not when a reply makes room in the window."""
    return point.peak_share is not None or point.rate_per_s is not None


def planned(point: Point) -> Point:
    """Return the point as the spec has it, without the rate that the run derived from a share."""
    if point.peak_share is None:
        return point
    return point.model_copy(update={"rate_per_s": None})


def words(point: Point) -> str:
    """Return the point in words; "" without a sweep and for the closed loop of a rate sweep."""
    if point.keys is not None:
        return f"{point.keys:,} keys"
    if point.window is not None:
        return f"window {point.window}"
    if point.generators is not None:
        return f"{point.generators} generator{'s' if point.generators > 1 else ''}"
    if point.edition is not None:
        return point.edition
    if point.peak_share is not None:
        return f"{point.peak_share * 100:g} % of peak"
    return "" if point.rate_per_s is None else f"{point.rate_per_s:,.0f}/s"


def _paced(value: float | str) -> Point:
    if isinstance(value, float):
        if not 1 <= value <= RATE_MAX_PER_S:
            raise ValueError(f"rate {value:g}: requests per second, at least 1 and at most 1e9")
        return Point(rate_per_s=value)
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?%", value)
    share = float(found.group(1)) / 100 if found else 0.0
    if not 0 < share <= SHARE_MAX:
        raise ValueError(
            f'rate {value!r}: give a share of the peak, e.g. "80%", at most {SHARE_MAX:.0%}, or a'
            " rate"
        )
    return Point(peak_share=share)
