"""Virtual machines: QEMU, its monitor, and which accelerator runs them here."""
