"""Options of `tune` and their help texts. The command in cli.py sets the defaults."""

from __future__ import annotations

from typing import Annotated

import typer

Action = Annotated[str, typer.Argument(metavar="ACTION", help="show, apply, restore or boot.")]
Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="KEY=VALUE",
        help="With apply: keys of a spec's table machine.",
        show_default="settings that make results steady",
    ),
]
Boot = Annotated[
    bool, typer.Option("--boot", help="Print the kernel command line for this machine.")
]
Interface = Annotated[
    str | None,
    typer.Option(
        metavar="IFACE", help="With show: print this interface's receive steering and offloads too."
    ),
]
