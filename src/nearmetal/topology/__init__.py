"""Stage 3, wires: the links between generator and DUT, made before a trial, removed after it.

wires/            the wires, one file each
wire.py           the facts that such a file declares for the other stages
standing.py       a wire that is up: addresses, cores, sockets
known.py          the list of wires
bring_up.py       bring up the wires of a run
tapped.py         code shared by the wires on a tap device
switch.py testpmd.py   DPDK's testpmd between a port and a vhost-user socket
served_tap.py     a tap device for a server that `serve` starts on a vhost-user socket
"""
