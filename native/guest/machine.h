/* SPDX-License-Identifier: BSD-3-Clause */
/* Making a machine of what the kernel found: each step gives NULL, or one sentence. */
#ifndef NEARMETAL_MACHINE_H
#define NEARMETAL_MACHINE_H

#include "cmdline.h"

/* /proc, /sys and /dev. */
const char *mount_all(void);

/* The modules that /modules/order names, a file a line, in this order. */
const char *load_modules(void);

/* The interface with its address, up. */
const char *bring_up(const struct cmdline *cmdline);

/* Give every virtio NIC on PCI to a driver for user space. */
const char *bind_nics(const char *driver);

#endif
