"""Virtual machines: QEMU, its monitor, and the choice of an accelerator."""
