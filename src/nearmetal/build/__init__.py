"""Stage 2, the programs: build or fetch them, and set up what a machine needs for that.

programs.py     the programs that meson builds, and the facts recorded about each program
libraries.py    the libraries inside an image, and their hashes
fetched.py      programs fetched as files (memcached), without installing a package
sources.py      the source of a library, fetched as files (lwIP)
guest_kernel.py guest_modules.py   the kernel of Linux guests, and the modules that they need
against.py      another revision's programs, to compare with ours
meson.py        find and run meson and ninja, and show their errors
setup.sh        system packages and the venv, in sh, because there may be no Python at first
rows groups.py  the groups of system packages that a row needs, for sh and for Python
extras.py       the Python packages of a command, with the standard library only
"""
