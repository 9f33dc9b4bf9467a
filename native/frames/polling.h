/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long to poll before a sleep: as long as polling pays.
 *
 * A sleep and its end cost both sides some microseconds, and keep a frame waiting; polling costs
 * the core for as long as it lasts. So an idle period begins with polling for a `window` of time,
 * which adapts to the idle periods seen. If a frame arrives soon after the sleep began, within the
 * longest time that is ever polled, polling would have paid, and the window grows. If it arrives
 * later, polling would not have paid, and the window is closed. The kernel's halt polling does the
 * same (Documentation/virt/kvm/halt-polling.rst). So a long idle period costs at most about two
 * sleeps, mostly one. Of successive short idle periods, only the first few cost a sleep.
 *
 * Where a frame cannot end the sleep, the sleep lasts its whole time, which says nothing about when
 * the frame arrived. Then the window stays at its maximum.
 *
 * The functions depend only on the times passed to them, in cycles of the time stamp counter.
 */
#ifndef NEARMETAL_POLLING_H
#define NEARMETAL_POLLING_H

#include <stdbool.h>
#include <stdint.h>

#define POLLING_MOST_PER_SECOND 20000u   /* 50 us: the cost of a sleep and its end */
#define POLLING_FIRST_PER_SECOND 100000u /* 10 us: the smallest open window */

struct polling {
    uint64_t window, first, most; /* cycles */
};

static inline void polling_open(struct polling *polling, uint64_t hz)
{
    *polling = (struct polling){.first = hz / POLLING_FIRST_PER_SECOND,
                                .most = hz / POLLING_MOST_PER_SECOND};
}

/* Whether to sleep now, in an idle period that began `since` cycles ago. */
static inline bool polling_is_over(const struct polling *polling, uint64_t since)
{
    return since >= polling->window;
}

/* Adapt to an idle period with a sleep, ended by a frame `since` cycles after it began. is_woken: a
 * frame can end the sleep. */
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
