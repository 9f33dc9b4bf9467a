/* SPDX-License-Identifier: BSD-3-Clause */
/* Where the threads of a load wait for one another: nobody goes on before all are there. */
#ifndef NEARMETAL_TG_MEETING_H
#define NEARMETAL_TG_MEETING_H

#include <stdatomic.h>

#include "clock.h"

#define MEETING_SPINS 4096u
#define MEETING_NAP_NS 20000u

struct meeting {
    unsigned nb; /* who meet */
    atomic_uint nb_here, nb_held;
};

/* What any of them wrote before is seen by all of them after. */
static inline void meet(struct meeting *meeting)
{
    unsigned held;

    if (meeting->nb == 1)
        return;
    held = atomic_load_explicit(&meeting->nb_held, memory_order_relaxed);
    /* Acquire and release: the last to come has seen what each of the others wrote before. */
    if (atomic_fetch_add_explicit(&meeting->nb_here, 1, memory_order_acq_rel) + 1 == meeting->nb) {
        /* Nobody comes again before the next line lets him go. */
        atomic_store_explicit(&meeting->nb_here, 0, memory_order_relaxed);
        atomic_store_explicit(&meeting->nb_held, held + 1, memory_order_release);
        return;
    }
    for (unsigned i = 0; atomic_load_explicit(&meeting->nb_held, memory_order_acquire) == held; i++)
        if (i < MEETING_SPINS)
            _mm_pause();
        else
            clock_sleep_ns(MEETING_NAP_NS);
}

#endif
