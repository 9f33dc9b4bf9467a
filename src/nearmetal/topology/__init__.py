"""Stage 3, wires: what joins generator and DUT, made before a trial and taken down after it.

wires/            the wires, one file each
wire.py           what such a file says: the facts that the other stages ask for
standing.py       a wire that stands: addresses, cores, sockets
known.py          which wires there are
bring_up.py       those of a run
tapped.py         what wires on a tap device have in common
switch.py testpmd.py   DPDK's testpmd between a port and a vhost-user socket
served_tap.py     a tap device for a unikernel that is served
"""
