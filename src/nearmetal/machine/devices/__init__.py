"""What the kernel says of NICs and PCI devices, and takes: read and set, not yet undone."""
