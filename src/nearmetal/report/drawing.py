"""Drawing of figures in one style: SVG for the page, PDF for papers.

SVG text stays text, in the page's text colour (currentColor), so that a figure is readable on a
light and a dark background and on paper.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from nearmetal.paths import write_whole

INK = "#010203"  # stands for the page's text colour until the SVG is written
WIDTH_IN = 8.6
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "grid.color": INK,
    "grid.alpha": 0.18,
    "grid.linewidth": 0.6,
    "pdf.fonttype": 42,  # real fonts: papers must embed them
}


@dataclass(frozen=True)
class Drawing:
    """One figure of a report."""

    name: str
    caption: str
    make: Callable[[], Figure]


def pdf(drawing: Drawing, folder: Path) -> None:
    """Write folder/<name>.pdf."""
    with matplotlib.rc_context(STYLE):
        figure = drawing.make()
        file = io.BytesIO()
        figure.savefig(file, format="pdf", metadata={"CreationDate": None})
        write_whole(folder / f"{drawing.name}.pdf", file.getvalue())


def svg(drawing: Drawing) -> str:
    """Return an SVG element without prolog, metadata and namespaces, which HTML implies."""
    file = io.StringIO()
    name = drawing.name
    # The salt makes element ids reproducible and different between figures.
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        drawing.make().savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(
        r'(<svg[^>]*?) width="[^"]*"', rf'\1 role="img" aria-label="{name}"', text, count=1
    )
    text = re.sub(r'\bid="([\w.]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'xlink:href="#(\w+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#(\w+)\)", rf"url(#{name}-\1)", text)
    return text.replace(INK, "currentColor")


def beside(axes: Axes, value: float, place: float, text: str) -> None:
    """Write a number to the right of its mark; it may be outside the axes."""
    axes.annotate(text, (value, place), (7, 0), textcoords="offset points", va="center")


def few_ticks(axis: Axis, words: Callable[[float], str]) -> None:
    """Set the ticks of a logarithmic axis: at 1, 2, 5 if it spans little, else at powers of ten."""
    low, high = sorted(axis.get_view_interval())
    steps = (1.0, 2.0, 5.0) if low <= 0 or high / low < 200 else (1.0,)
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: words(value)))
    axis.set_minor_formatter(NullFormatter())


def legend(axes: Axes, columns: int) -> None:
    """Place the legend above the axes, on the right."""
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=columns, borderaxespad=0)
