/* SPDX-License-Identifier: BSD-3-Clause */
/* clock, on a machine: opened by boot. */
#ifndef NEARMETAL_UK_CLOCK_PC_H
#define NEARMETAL_UK_CLOCK_PC_H

#include <stdint.h>

/* Once, before anything else of clock.h. NULL, or one sentence. */
const char *clock_open(void);

/* What says how fast the counter is: "pvclock" or "pit". */
const char *clock_source(void);

/* By interrupt: what time it was a moment ago. Where the clock of the day was later than that, time
 * goes on from there. */
void clock_told(uint64_t unix_ns);

#endif
