"""Stage 3, wires: what joins generator and DUT, made before a trial and taken down after it.

bring_up.py       the wires of a run
switch.py testpmd.py   DPDK's testpmd between a port and a vhost-user socket
served_tap.py     a tap device for a unikernel that is served
"""
