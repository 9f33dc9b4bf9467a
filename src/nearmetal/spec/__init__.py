"""Stage 1, what is measured: a spec file as frozen values, and the rungs that it may name.

experiment.py      a spec file, read and checked
services.py        the table of services: the file `services`, which meson reads too
rungs.py           every rung: place, datapath and knobs
sweep.py window.py a spec's one axis, and the requests in flight
foreign_images.py  images that a spec brings along
"""
