"""The options of `load`, as the command line shows them. Defaults stand where the command is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Target = Annotated[
    str, typer.Argument(metavar="ADDR:PORT", help="Of a memcached-compatible UDP server.")
]
Service = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What it serves: one of spec/services.",
        show_default="the first, a store",
    ),
]
WorkloadName = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE",
        help="light (100,000 keys, fits 64 MiB), standard (1,000,000 keys: serve --memory 256MiB),"
        " smoke, paper, or a spec file.",
    ),
]
Window = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Requests in flight; open loop: the most.",
        min=1,
        max=65_536,
        show_default="128; 256 on vhost-user",
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(metavar="N", help="Open loop: requests a second, on average.", min=1, max=1e9),
]
Arrivals = Annotated[
    str, typer.Option(metavar="HOW", help="Of the open loop: constant or poisson.")
]
Sweep = Annotated[
    str | None,
    typer.Option(
        metavar="AXIS=LIST",
        help="window=1,4,16 or rate=1e5,2e5: a line a point, 3 s or --for each.",
    ),
]
Lcores = Annotated[
    str | None, typer.Option(metavar="LIST", help="A thread on each of these cores: 1,2.")
]
VhostUser = Annotated[
    Path | None,
    typer.Option(metavar="SOCKET", help="Be the back end of a server that connects there."),
]
Nic = Annotated[
    str | None,
    typer.Option(metavar="IFACE|PCI", help="Send frames by DPDK; a link by af_packet."),
]
Source = Annotated[
    str | None,
    typer.Option(metavar="ADDR", help="Of frames: where requests come from; a free address."),
]
Duration = Annotated[
    str | None,
    typer.Option("--for", metavar="TIME", help="10s, 5m, 1h.", show_default="until stopped"),
]
