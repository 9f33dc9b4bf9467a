/* SPDX-License-Identifier: BSD-3-Clause */
/* clock, on a machine: functions that boot calls. */
#ifndef NEARMETAL_UK_CLOCK_PC_H
#define NEARMETAL_UK_CLOCK_PC_H

#include <stdint.h>

/* Call once, before all functions of clock.h. NULL, or one sentence. */
const char *clock_open(void);

/* Source of the counter's frequency: "pvclock" or "pit". */
const char *clock_source(void);

/* Set the time to unix_ns, which was right a moment ago. Called from an interrupt. Time only moves
 * forward: a value behind the current time is ignored, as is every value where KVM's clock is
 * used. */
void clock_told(uint64_t unix_ns);

#endif
