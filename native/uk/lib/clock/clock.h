/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clock: the time stamp counter, and Unix time from it. Implements serve_now_ns (serve.h).
 *
 * Implemented by <form>.c of this folder. `process`: the tender writes now and then what the
 * counter means (control.h), so that no system call is needed and nothing drifts.
 */
#ifndef NEARMETAL_UK_CLOCK_H
#define NEARMETAL_UK_CLOCK_H

#include <stdint.h>

/* Cycles of the counter in a second. */
uint64_t clock_tsc_hz(void);

#endif
