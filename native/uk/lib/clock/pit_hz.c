/* SPDX-License-Identifier: BSD-3-Clause */
/* pit: the arithmetic; see pit.h. */
#include "pit.h"

#define INTERVAL_MAX_S 2000u /* the product below would overflow beyond this */
#define WRONG_AT_MOST 200u   /* one part in this many */

static uint32_t ticks_between(const struct pit_moment *first, const struct pit_moment *now)
{
    return (first->count - now->count) & (PIT_ROUND - 1); /* the timer counts down */
}

uint64_t pit_first_hz(const struct pit_moment *first, const struct pit_moment *now)
{
    uint32_t ticks = ticks_between(first, now);

    return ticks == 0 ? 0 : (now->tsc - first->tsc) * PIT_HZ / ticks;
}

uint64_t pit_better_hz(const struct pit_moment *first, const struct pit_moment *now, uint64_t hz)
{
    uint64_t cycles = now->tsc - first->tsc;

    if (cycles / hz >= INTERVAL_MAX_S)
        return hz;
    uint64_t expected = cycles * PIT_HZ / hz;
    /* Take the number of ticks nearest to the expected one that ends at the timer's current
     * count. */
    int16_t off = (int16_t)(uint16_t)(ticks_between(first, now) - (uint32_t)expected);
    uint64_t ticks = expected + (uint64_t)(int64_t)off;
    if (ticks == 0 || ticks > expected + PIT_ROUND)
        return hz;
    uint64_t better = cycles * PIT_HZ / ticks;
    uint64_t by = better > hz ? better - hz : hz - better;
    return by > hz / WRONG_AT_MOST ? hz : better;
}
