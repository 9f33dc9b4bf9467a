/* SPDX-License-Identifier: BSD-3-Clause */
/* Setting up the machine that the kernel found. Each step returns NULL, or one sentence. */
#ifndef NEARMETAL_MACHINE_H
#define NEARMETAL_MACHINE_H

#include "cmdline.h"

/* Mount /proc, /sys and /dev. */
const char *mount_all(void);

/* Load the modules that /modules/order names, one file per line, in this order. */
const char *load_modules(void);

/* Give the interface its address, and bring it up. */
const char *bring_up(const struct cmdline *cmdline);

/* Bind every virtio NIC on PCI to a driver for user space. */
const char *bind_nics(const char *driver);

#endif
