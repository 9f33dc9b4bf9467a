/* SPDX-License-Identifier: BSD-3-Clause */
/* confine: take from this process, for good, every right but the few that serving needs. */
#ifndef NEARMETAL_UK_CONFINE_H
#define NEARMETAL_UK_CONFINE_H

#include <stdbool.h>

/* After this a system call that is not one of README.md's kills the process. called: it may sleep.
 * False: the kernel refused. */
bool confine(bool called);

#endif
