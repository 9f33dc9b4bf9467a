"""Turn a row into a running DUT, with one module per place; report why a row cannot start here.

command.py contract.py        the input for a start, and the interface that a trial needs
host.py guest.py uk.py ukp.py image.py reference.py   the places
places.py                     choose the place's module
guest_image.py guest_cmdline.py cpio.py   image and command line of a Linux guest
eal.py                        DPDK's arguments
available.py                  the rows that cannot run on this machine, and what is missing
"""
