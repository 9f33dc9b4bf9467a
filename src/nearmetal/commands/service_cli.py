"""The commands for a service of your own: write a file, try it, make an image that boots."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nearmetal.commands.application import command as _command
from nearmetal.commands.common_options import AsJson, ServiceArgs, Unchecked, Yes


@_command("new-service greeter", name="new-service")
def new_service(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name in rows and reports.")],
) -> None:
    """Write NAME.py into this folder: a service of your own that answers, and tests itself."""
    from nearmetal.commands.service import new

    new(name)


@_command(
    "check-service greeter.py --service-arg most=100",
    name="check-service",
)
def check_service(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A service's file in Python.")],
    service_arg: ServiceArgs = None,
    as_json: AsJson = False,
) -> None:
    """Try a service's file in CPython: its own tests, and whether a load can check it."""
    from nearmetal.commands.service import check

    check(file, service_arg or [], as_json=as_json)


@_command("image uk-netdev --service greeter.py --out greeter.img")
def image(
    row: Annotated[str, typer.Argument(metavar="ROW", help="A row uk-* of `list`.")],
    service: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A service of your own.", show_default="the store, kv"),
    ] = None,
    service_arg: ServiceArgs = None,
    unchecked: Unchecked = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="FILE", help="The image.", show_default="<service>-<row>.img"
        ),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Write a unikernel's image, and print a QEMU command that boots it and how to ask it.

    The command needs no rights: QEMU's own network forwards a port of this machine's loopback. The
    page docs/services.md has the command for a tap device.
    """
    del yes  # the launcher uses it
    from nearmetal.commands import own
    from nearmetal.commands.image import write

    given = own.rows([service] if service else [], service_arg, unchecked=unchecked)
    for line in write(row, own.Served(given), out, as_json=as_json):
        print(line)
