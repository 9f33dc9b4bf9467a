"""The options of `serve` and `switch`, as the command line shows them. Defaults stand where the
command is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Rung = Annotated[str, typer.Argument(metavar="ROW", help="One of our rows, as `list` shows them.")]
Listen = Annotated[
    str | None,
    typer.Option(
        metavar="ADDR:PORT",
        help="Where it answers; IPv6 as [ADDR]:PORT.",
        show_default="127.0.0.1:11211; host-dpdk without --nic, uk*: of what is made for it",
    ),
]
Memory = Annotated[str, typer.Option(metavar="SIZE", help="The store's memory; KiB, MiB, GiB.")]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR", help="Who may ask, as 10.0.0.0/24; several times.", show_default="loopback"
    ),
]
Admin = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR", help="Who may send stats, flush_all, verbosity.", show_default="loopback"
    ),
]
Trusted = Annotated[
    list[str] | None,
    typer.Option(
        metavar="CIDR",
        help="Whose replies may exceed 3 x the request.",
        show_default="as --allow",
    ),
]
Metrics = Annotated[str | None, typer.Option(metavar="ADDR:PORT", help="For Prometheus.")]
Nic = Annotated[
    str | None,
    typer.Option(
        metavar="IFACE|PCI",
        help="host-dpdk: the port it takes; a link, by af_packet, or a PCI device. Without it a"
        " veth pair is made.",
    ),
]
Poll = Annotated[
    bool,
    typer.Option(
        "--poll", help="Never sleep: answers come sooner, and a core is busy all the time."
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
    typer.Option(help="Where the server connects.", show_default="a new one, printed"),
]
Peer = Annotated[
    str | None, typer.Option(metavar="MAC", help="With --nic: who is at its other end.")
]
ServerMac = Annotated[
    str | None,
    typer.Option(metavar="MAC", help="The server's.", show_default="as on the wire pvp; printed"),
]
