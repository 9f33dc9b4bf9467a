"""The options of `tune`, as the command line shows them. Defaults stand where the command is."""

from __future__ import annotations

from typing import Annotated

import typer

Action = Annotated[str, typer.Argument(metavar="ACTION", help="show, apply, restore or boot.")]
Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="Of apply: the keys of a spec's table machine.",
        show_default="what makes results steady",
    ),
]
Boot = Annotated[
    bool, typer.Option("--boot", help="Print the kernel command line for this machine.")
]
Interface = Annotated[
    str | None,
    typer.Option(metavar="IFACE", help="Of show: its receive steering and offloads."),
]
