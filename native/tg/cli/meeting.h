/* SPDX-License-Identifier: BSD-3-Clause */
/* A barrier for the threads of a load: no thread continues before all have arrived. */
#ifndef NEARMETAL_TG_MEETING_H
#define NEARMETAL_TG_MEETING_H

#include <stdatomic.h>

#include "clock.h"

#define MEETING_SPINS 4096u
#define MEETING_NAP_NS 20000u

struct meeting {
    unsigned nb; /* threads that meet */
    atomic_uint nb_here, nb_held;
};

/* Wait for all threads. Everything that any of them wrote before is visible to all of them
 * after. */
static inline void meet(struct meeting *meeting)
{
    unsigned held;

    if (meeting->nb == 1)
        return;
    held = atomic_load_explicit(&meeting->nb_held, memory_order_relaxed);
    /* Acquire and release: the last thread to arrive sees everything that the others wrote
     * before. */
    if (atomic_fetch_add_explicit(&meeting->nb_here, 1, memory_order_acq_rel) + 1 == meeting->nb) {
        /* No thread can enter again before the next store releases it. */
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
