/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pit: how fast the time stamp counter is, by the PC's interval timer (Intel 8254), which counts
 * down from 65,536 again and again, once in 55 ms.
 *
 * The first estimate is of a millisecond. Each further one is of an interval so many times longer
 * that the one before it still tells how often the timer went round meanwhile; so the error shrinks
 * as the interval grows.
 */
#ifndef NEARMETAL_UK_PIT_H
#define NEARMETAL_UK_PIT_H

#include <stdbool.h>
#include <stdint.h>

#define PIT_HZ 1193182u
#define PIT_ROUND 65536u

/* Both at one moment. */
struct pit_moment {
    uint64_t tsc;
    uint32_t count;
};

/* Start the timer. False: there is none. */
bool pit_open(struct pit_moment *now);

struct pit_moment pit_now(void);

/* Cycles in a second, from the first moment to the other, less than one round later; 0: no time has
 * passed. */
uint64_t pit_first_hz(const struct pit_moment *first, const struct pit_moment *now);

/* The same of an interval of any length, by the estimate so far. The estimate itself where the two
 * differ by more than it can be wrong, as when the machine stood still. */
uint64_t pit_better_hz(const struct pit_moment *first, const struct pit_moment *now, uint64_t hz);

#endif
