"""Options that several commands share. Each command in cli.py sets its own defaults."""

from __future__ import annotations

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
