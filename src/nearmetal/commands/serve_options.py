"""Options of `serve` and `switch` and their help texts. The commands in cli.py set the defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Rung = Annotated[str, typer.Argument(metavar="ROW", help="A row of `list`, but no reference row.")]
Listen = Annotated[
    str | None,
    typer.Option(
        metavar="ADDR:PORT",
        help="The address to serve on; IPv6 as [ADDR]:PORT.",
        show_default="127.0.0.1:11211, or the port of --service; host-dpdk without --nic and uk*:"
        " that of their own device",
    ),
]
Memory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="The store's memory, in KiB, MiB or GiB.",
        show_default="64MiB, or what the state of --service needs",
    ),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR",
        help="Sources that are answered, e.g. 10.0.0.0/24; may be repeated.",
        show_default="loopback",
    ),
]
Admin = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR",
        help="Sources that may send stats, flush_all, verbosity.",
        show_default="loopback",
    ),
]
Trusted = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR",
        help="Sources whose replies may exceed 3 x the request.",
        show_default="as --allow",
    ),
]
Metrics = Annotated[
    str | None, typer.Option(metavar="ADDR:PORT", help="Serve metrics for Prometheus here.")
]
Nic = Annotated[
    str | None,
    typer.Option(
        metavar="IFACE|PCI",
        help="host-dpdk: the port to use, a network interface (by af_packet) or a PCI device."
        " Without it a veth pair is made.",
    ),
]
Poll = Annotated[
    bool,
    typer.Option(
        "--poll", help="Never sleep: answers are sent sooner, but one core is always busy."
    ),
]

Service = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="A service of your own to serve, in Python or C (docs/services.md)."
    ),
]
SwitchNic = Annotated[
    str | None,
    typer.Option(
        metavar="IFACE|PCI", help="The port to the generator. Without it a veth pair is made."
    ),
]
Socket = Annotated[
    Path | None,
    typer.Option(
        help="The vhost-user socket that the server connects to.", show_default="a new one, printed"
    ),
]
Peer = Annotated[
    str | None, typer.Option(metavar="MAC", help="With --nic: the MAC address of the peer.")
]
ServerMac = Annotated[
    str | None,
    typer.Option(
        metavar="MAC",
        help="The server's MAC address.",
        show_default="as on the wire pvp; printed",
    ),
]
