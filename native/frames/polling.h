/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long to poll before a sleep: as long as it pays.
 *
 * A sleep and its end cost some microseconds of both sides, and keep a frame waiting; polling costs
 * the core for as long as it lasts. So a rest begins with polling for a `window` of time, which
 * follows what rests turn out to be: a frame that comes soon after the sleep began, within the most
 * that is ever polled, would have been worth waiting for, and the window grows; one that came later
 * would not have been, and the window is closed. The kernel's halt polling does the same
 * (Documentation/virt/kvm/halt-polling.rst). So a long rest costs at most about two sleeps, most
 * often one. Of short rests that follow each other, only the first few cost a sleep.
 *
 * Where a frame cannot end the sleep, the sleep lasts its whole time, so it does not tell when the
 * frame came. Then the window stays at its maximum.
 *
 * A pure function of the times that it is told, in cycles of the time stamp counter.
 */
#ifndef NEARMETAL_POLLING_H
#define NEARMETAL_POLLING_H

#include <stdbool.h>
#include <stdint.h>

#define POLLING_MOST_PER_SECOND 20000u   /* 50 us: what a sleep and its end may cost */
#define POLLING_FIRST_PER_SECOND 100000u /* 10 us: what an open window begins with */

struct polling {
    uint64_t window, first, most; /* cycles */
};

static inline void polling_open(struct polling *polling, uint64_t hz)
{
    *polling = (struct polling){.first = hz / POLLING_FIRST_PER_SECOND,
                                .most = hz / POLLING_MOST_PER_SECOND};
}

/* The rest began `since` cycles ago: sleep now? */
static inline bool polling_is_over(const struct polling *polling, uint64_t since)
{
    return since >= polling->window;
}

/* A rest in which we slept has ended with a frame, `since` cycles after it began. is_woken: the
 * frame ended it. */
static inline void polling_learn(struct polling *polling, uint64_t since, bool is_woken)
{
    uint64_t wider = polling->window < polling->first ? polling->first : 2 * polling->window;

    if (!is_woken)
        polling->window = polling->most;
    else if (since > polling->most)
        polling->window = 0;
    else
        polling->window = wider < polling->most ? wider : polling->most;
}

#endif
