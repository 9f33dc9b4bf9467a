/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clock: the time stamp counter, and Unix time derived from it. Implements serve_now_ns (serve.h).
 *
 * Implemented by <form>.c of this folder. `process`: the tender publishes the counter's frequency
 * and a base time about once a second (control.h), so reading the time needs no system call and
 * does not drift.
 */
#ifndef NEARMETAL_UK_CLOCK_H
#define NEARMETAL_UK_CLOCK_H

#include <stdint.h>

/* Cycles of the counter in a second. */
uint64_t clock_tsc_hz(void);

#endif
