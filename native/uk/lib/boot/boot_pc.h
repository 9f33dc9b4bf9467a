/* SPDX-License-Identifier: BSD-3-Clause */
/* boot, on a machine: what it found for the other libraries of that form. */
#ifndef NEARMETAL_UK_BOOT_PC_H
#define NEARMETAL_UK_BOOT_PC_H

#include "command_line.h"

const struct command_line *boot_command_line(void);

#endif
