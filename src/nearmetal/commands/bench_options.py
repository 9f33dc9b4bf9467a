"""The options of `bench`, some of which other commands have, too: what each means, in its help."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before installing or starting.")]
Spec = Annotated[str, typer.Option("--spec", help="A spec file, or a name in specs/.")]
Rungs = Annotated[
    str | None,
    typer.Option("--rungs", help="Only these rows: host-sock,host-mmsg:echo (see `list`)."),
]
Rounds = Annotated[
    int | None,
    typer.Option("--rounds", min=1, help="So many of each row.", show_default="as the spec says"),
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
        "--out", help="The run's folder: absent or empty.", show_default="runs/<UTC>-<spec>"
    ),
]
