"""NICs and PCI devices: read and change their settings in the kernel; the journal has the undo."""
