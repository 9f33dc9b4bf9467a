/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pit: measures the frequency of the time stamp counter by the PC's interval timer (Intel 8254),
 * which counts down from 65,536 again and again, once in 55 ms.
 *
 * The first estimate takes 1 ms. Each further estimate takes a fixed factor longer: the factor is
 * so small that the previous estimate is exact enough to compute how often the timer wrapped. The
 * error shrinks as the interval grows.
 */
#ifndef NEARMETAL_UK_PIT_H
#define NEARMETAL_UK_PIT_H

#include <stdbool.h>
#include <stdint.h>

#define PIT_HZ 1193182u
#define PIT_ROUND 65536u

/* Both counters, read at one moment. */
struct pit_moment {
    uint64_t tsc;
    uint32_t count;
};

/* Start the timer. False: there is none. */
bool pit_open(struct pit_moment *now);

struct pit_moment pit_now(void);

/* Cycles in a second, from two moments less than one wrap apart. 0: no time has passed. */
uint64_t pit_first_hz(const struct pit_moment *first, const struct pit_moment *now);

/* Cycles in a second, from two moments any time apart, given the estimate so far. Returns `hz`
 * itself if the result differs from it by more than its possible error (the machine was paused). */
uint64_t pit_better_hz(const struct pit_moment *first, const struct pit_moment *now, uint64_t hz);

#endif
