"""How a row becomes a running DUT, one module a place, and why it cannot be started here.

command.py contract.py        what it takes to start one, and what a trial needs of it
host.py guest.py uk.py ukp.py image.py reference.py   the places
guest_image.py guest_cmdline.py cpio.py   what a Linux guest boots, and what it is told
eal.py                        DPDK's arguments
available.py                  what cannot run on this machine, and what is missing
"""
