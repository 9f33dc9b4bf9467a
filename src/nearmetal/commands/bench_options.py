"""The options of `bench`, most of which `testbed` has, too: what each means, in its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Spec = Annotated[
    str, typer.Option("--spec", metavar="NAME|FILE", help="A spec file, or a name in specs/.")
]
Rungs = Annotated[
    str | None,
    typer.Option(
        "--rungs",
        metavar="LIST",
        help="Only these rows, as host-sock,host-mmsg:echo; `list` shows all.",
    ),
]
Rounds = Annotated[
    int | None,
    typer.Option(
        "--rounds", metavar="N", min=1, help="So many of each row.", show_default="as the spec says"
    ),
]
Against = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="REV|DIR",
        help="Measure the programs of another revision, or of another clone, beside ours, pair by"
        " pair.",
    ),
]
Taken = Annotated[
    Literal["af_packet", "af_xdp", "dpdk"] | None,
    typer.Option(
        "--take",
        help="Of rehearse: how frame rungs and the switch take the NIC.",
        show_default="af_packet",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        help="The run's folder: absent or empty.",
        show_default="runs/<UTC>-<spec>",
    ),
]
Action = Annotated[str, typer.Argument(metavar="ACTION", help="run or rehearse.")]
Machines = Annotated[Path | None, typer.Argument(metavar="FILE", help="Of run: which machines.")]
BedSpec = Annotated[
    str | None,
    typer.Option(
        "--spec",
        metavar="NAME|FILE",
        help="A spec file, or a name in specs/.",
        show_default="quick; of rehearse rehearsal",
    ),
]
Generators = Annotated[
    int | None,
    typer.Option(
        "--generators",
        metavar="N",
        help="Of rehearse: how many machines ask.",
        show_default="as many as the spec wants",
    ),
]
