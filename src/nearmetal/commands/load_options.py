"""The options of `load`, as the command line shows them. Defaults stand where the command is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Target = Annotated[str, typer.Argument(help="ADDR:PORT of a memcached-compatible UDP server.")]
Service = Annotated[
    str | None,
    typer.Option(help="What it serves: one of spec/services.", show_default="the first, a store"),
]
WorkloadName = Annotated[str, typer.Option(help="standard, smoke, paper, or a spec file.")]
Window = Annotated[
    int | None,
    typer.Option(
        help="Requests in flight; open loop: the most.",
        min=1,
        max=65_536,
        show_default="128; 256 on vhost-user",
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(help="Open loop: requests a second, on average.", min=1, max=1e9),
]
Arrivals = Annotated[str, typer.Option(help="Of the open loop: constant or poisson.")]
Sweep = Annotated[
    str | None,
    typer.Option(help="window=1,4,16 or rate=1e5,2e5: a line a point, 3 s or --for each."),
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
Duration = Annotated[str | None, typer.Option("--for", help="10s, 5m, 1h; default: until stopped.")]
AsJson = Annotated[bool, typer.Option("--json", help="The generator's own JSON lines.")]
