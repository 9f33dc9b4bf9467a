/* SPDX-License-Identifier: BSD-3-Clause */
/* transport, on a machine: the kind of device that was found. */
#ifndef NEARMETAL_UK_TRANSPORT_PC_H
#define NEARMETAL_UK_TRANSPORT_PC_H

/* "pci", "mmio"; "none" before transport_open. */
const char *transport_name(void);

#endif
