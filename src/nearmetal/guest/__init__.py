"""What runs inside a Linux guest: the distribution's kernel, and a file system made for one server.

kernel.py   the kernel, fetched as a file, or a given one
modules.py  which of its modules are needed, and in which order
cpio.py     the archive that the kernel unpacks (its Documentation, initramfs buffer format)
image.py    kernel and archive, kept by what they are made of
cmdline.py  what is said to the kernel and to the guest's first process (native/guest/)
"""
