/* SPDX-License-Identifier: BSD-3-Clause */
/* confine: remove from this process, for good, every right that serving does not need. */
#ifndef NEARMETAL_UK_CONFINE_H
#define NEARMETAL_UK_CONFINE_H

#include <stdbool.h>

/* Install the filter: from then on every system call that README.md does not list kills the
 * process. called: the process may sleep, so it keeps the call's descriptor. False: the kernel
 * refused. */
bool confine(bool called);

#endif
