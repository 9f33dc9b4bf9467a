"""Stage 2, the programs: built or fetched, and what a machine must have before that.

programs.py     what meson builds, and what is known about each program
libraries.py    the libraries inside an image, and their hashes
fetched.py      programs that come as files (memcached), without being installed
sources.py      the source of a library that comes as files (lwIP)
guest_kernel.py guest_modules.py   the kernel of Linux guests, and which of its modules they need
against.py      another revision's programs, beside ours
meson.py        how meson and ninja are found, run, and heard
setup.sh        system packages and the venv, in sh, because Python may not be there yet
rows groups.py  the groups of system packages that a row needs, for sh and for Python
extras.py       the Python packages of a command, standard library only
"""
