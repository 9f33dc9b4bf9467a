"""Options of `load` and their help texts. The command in cli.py sets the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Target = Annotated[
    str, typer.Argument(metavar="ADDR:PORT", help="Address of a memcached-compatible UDP server.")
]
Service = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="The service that it offers: one of spec/services, or the file of one of your own.",
        show_default="the first, kv",
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
        help="Requests in flight; in the open loop their maximum.",
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
    str, typer.Option(metavar="HOW", help="Arrivals in the open loop: constant or poisson.")
]
Sweep = Annotated[
    str | None,
    typer.Option(
        metavar="AXIS=LIST",
        help="window=1,4,16 or rate=1e5,2e5: one line per point, measured for 3 s or --for.",
    ),
]
Lcores = Annotated[
    str | None, typer.Option(metavar="LIST", help="Run a thread on each of these cores, e.g. 1,2.")
]
VhostUser = Annotated[
    Path | None,
    typer.Option(metavar="SOCKET", help="Be the vhost-user back end; the server connects here."),
]
Nic = Annotated[
    str | None,
    typer.Option(
        metavar="IFACE|PCI", help="Send frames with DPDK; a network interface uses af_packet."
    ),
]
Source = Annotated[
    str | None,
    typer.Option(
        metavar="ADDR", help="With --vhost-user, --nic: a free address to send requests from."
    ),
]
Duration = Annotated[
    str | None,
    typer.Option(
        "--for", metavar="TIME", help="Duration: 10s, 5m, 1h.", show_default="until stopped"
    ),
]
