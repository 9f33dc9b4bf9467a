/* SPDX-License-Identifier: BSD-3-Clause */
/* boot, on a machine: the command line, for the other libraries of the `pc` form. */
#ifndef NEARMETAL_UK_BOOT_PC_H
#define NEARMETAL_UK_BOOT_PC_H

#include "command_line.h"

const struct command_line *boot_command_line(void);

#endif
