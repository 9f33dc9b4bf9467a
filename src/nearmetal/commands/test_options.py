"""The options of `test`, as the command line shows them. Defaults stand where the command is."""

from __future__ import annotations

from typing import Annotated

import typer

Full = Annotated[
    bool, typer.Option("--full", help="Everything: much longer, and on empty machines too.")
]
Long = Annotated[bool, typer.Option("--long", hidden=True)]
Minutes = Annotated[
    float | None,
    typer.Option(
        "--minutes",
        metavar="N",
        help="Of --full: start no test after so long. The tests not run for longest go first.",
        min=0,
    ),
]
Only = Annotated[
    str | None, typer.Option("-k", metavar="WORD", help="Only tests that match (as pytest).")
]
