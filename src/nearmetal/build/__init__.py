"""Set-up: what must be on the machine before a command can run.

setup.sh   system packages and the venv, in sh, because Python may not be there yet
rows       the groups of these that a row needs; groups.py reads it for the control plane
extras.py  the Python packages of a command, standard library only
fetched.py   programs that come as files (memcached), without being installed
sources.py the source of a library that comes as files (lwIP)
"""
