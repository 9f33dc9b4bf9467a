"""Stage 1, what to measure: a spec file as frozen values, and the rungs that it may name.

experiment.py      read and check a spec file
datapaths.py       the table of datapaths: the file `datapaths`, which sh and meson read too
services.py        the table of services: the file `services`, which sh and meson read too
table.py           read such a table
rungs.py           every rung: place, datapath and knobs
programs.py        the programs that a row starts
sweep.py window.py the axis of a sweep, and the requests in flight
foreign_images.py  images that a spec adds as rungs
"""
