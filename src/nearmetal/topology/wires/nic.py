"""nic: data NICs of several machines. testbed/ makes it; on one machine there is none."""

from __future__ import annotations

from typing import Literal

from nearmetal.topology.standing import AtNic
from nearmetal.topology.wire import Wire
from nearmetal.topology.wires import veth


class Nic(AtNic):
    """The server's data NIC, and the first generator's."""

    wire: Literal["nic"] = "nic"


WIRE = Wire(
    name="nic",
    topology=Nic,
    generator="nm-load",
    window=veth.WIRE,
    null_responder="limit-nic",
    sockets=True,
)
