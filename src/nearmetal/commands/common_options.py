"""Options that several commands share. Each command in cli.py sets its own defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearmetal import __version__

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object per line.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print only results and errors.")]


def _told(asked: bool) -> None:
    if asked:
        print(f"nearmetal {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", help="Print the version.", callback=_told, is_eager=True)
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before installing or starting.")]
Rows = Annotated[
    list[str] | None,
    typer.Argument(metavar="ROW", help="Row names, as in `list`.", show_default="everything"),
]
Services = Annotated[
    list[Path] | None,
    typer.Option(
        "--service",
        metavar="FILE",
        help="A service of your own, in Python or C, in place of the rows' (docs/services.md).",
    ),
]
ServiceArgs = Annotated[
    list[str] | None,
    typer.Option("--service-arg", metavar="NAME=VALUE", help="For its init; may be repeated."),
]
Unchecked = Annotated[
    bool,
    typer.Option("--unchecked", help="Compile it without bounds checks, to see what they cost."),
]
