"""Options of `bench`, and its question; `testbed` shares most options. The help text of each
defines it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

Spec = Annotated[
    str | None,
    typer.Option(
        "--spec",
        metavar="NAME|FILE",
        help="A spec file, or a name in specs/.",
        show_default="quick; with --service: service",
    ),
]
Rungs = Annotated[
    str | None,
    typer.Option(
        "--rungs",
        metavar="LIST",
        help="Only these rows, e.g. host-sock,host-mmsg:echo; `list` shows all.",
    ),
]
Rounds = Annotated[
    int | None,
    typer.Option(
        "--rounds", metavar="N", min=1, help="Rounds of each row.", show_default="the spec's"
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="REV|DIR",
        help="Also measure the programs of this other revision or clone, in pairs with ours.",
    ),
]
Taken = Annotated[
    Literal["af_packet", "af_xdp", "dpdk"] | None,
    typer.Option(
        "--take",
        help="With rehearse: how frame rungs and the switch take the NIC.",
        show_default="af_packet",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="The run's folder; it must be absent or empty.",
        show_default="runs/<UTC>-<spec>",
    ),
]
Action = Annotated[str, typer.Argument(metavar="ACTION", help="run or rehearse.")]
Machines = Annotated[
    Path | None, typer.Argument(metavar="FILE", help="With run: the file that names the machines.")
]
BedSpec = Annotated[
    str | None,
    typer.Option(
        "--spec",
        metavar="NAME|FILE",
        help="A spec file, or a name in specs/.",
        show_default="quick; with rehearse: rehearsal",
    ),
]
Generators = Annotated[
    int | None,
    typer.Option(
        "--generators",
        metavar="N",
        help="With rehearse: number of machines that generate load.",
        show_default="as many as the spec needs",
    ),
]


def start_is_wanted() -> bool:
    """The user's answer; without a terminal to ask on (or a stdin at all), yes."""
    if sys.stdin is None or not sys.stdin.isatty():
        return True
    return typer.confirm("Start?", default=True, err=True)
