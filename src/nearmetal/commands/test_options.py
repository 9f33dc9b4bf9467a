"""Options of `test` and their help texts. The command in cli.py sets the defaults."""

from __future__ import annotations

from typing import Annotated

import typer

Full = Annotated[
    bool, typer.Option("--full", help="Run everything, set-up on empty machines too; much longer.")
]
Long = Annotated[bool, typer.Option("--long", hidden=True)]
Minutes = Annotated[
    float | None,
    typer.Option(
        "--minutes",
        metavar="N",
        help="With --full: start no test after this time. Tests not run for longest start first.",
        min=0,
    ),
]
Only = Annotated[
    str | None, typer.Option("-k", metavar="WORD", help="Run only tests that match (as in pytest).")
]
