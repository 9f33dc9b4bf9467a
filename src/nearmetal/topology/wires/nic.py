"""nic: the data NICs of several machines. testbed/ makes this wire; one machine alone cannot."""

from __future__ import annotations

from typing import Literal

from nearmetal.topology.standing import AtNic
from nearmetal.topology.wire import Wire
from nearmetal.topology.wires import veth


class Nic(AtNic):
    """The data NICs of the server and of the first generator."""

    wire: Literal["nic"] = "nic"


WIRE = Wire(
    name="nic",
    topology=Nic,
    generator="nm-load",
    window=veth.WIRE,
    null_responder="limit-nic",
    sockets=True,
)
