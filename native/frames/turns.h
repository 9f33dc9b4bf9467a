/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The turns of a datagram datapath over frames: accounting of cycles, and sleep.
 *
 * Each turn reads the time stamp counter once, and its cycles count as busy if it received
 * something, else as empty. Empty turns poll for a while (polling.h), then sleep.
 */
#ifndef NEARMETAL_TURNS_H
#define NEARMETAL_TURNS_H

#include "frames.h"
#include "polling.h"

struct turns {
    bool poll;         /* never sleep */
    bool is_busy;      /* the current turn received something */
    bool has_slept;    /* in the current idle period */
    bool is_woken;     /* a frame can end that sleep */
    uint64_t turn_tsc; /* start of the current turn */
    uint64_t rest_tsc; /* start of the first empty turn */
    struct polling polling;
    struct datapath_stats stats;
};

static inline void turns_open(struct turns *turns, bool poll, uint64_t tsc_hz)
{
    turns->poll = poll;
    polling_open(&turns->polling, tsc_hz);
    turns->turn_tsc = turns->rest_tsc = __builtin_ia32_rdtsc();
}

/* End one turn and begin the next, before its rx_burst. */
static inline void turns_begin(struct turns *turns)
{
    uint64_t now_tsc = __builtin_ia32_rdtsc();
    uint64_t cycles = now_tsc - turns->turn_tsc;

    turns->stats.busy_cycles += turns->is_busy ? cycles : 0;
    turns->stats.empty_cycles += turns->is_busy ? 0 : cycles;
    turns->turn_tsc = now_tsc;
}

/* Note what rx_burst received; sleep if it was nothing and polling is over. */
static inline void turns_found(struct turns *turns, struct frames *frames, unsigned nb_rx)
{
    bool was_busy = turns->is_busy;

    turns->is_busy = nb_rx > 0;
    if (nb_rx > 0) {
        if (__builtin_expect(turns->has_slept, 0))
            polling_learn(&turns->polling, turns->turn_tsc - turns->rest_tsc, turns->is_woken);
        turns->has_slept = false;
        return;
    }
    turns->stats.nb_empty_rx++;
    if (was_busy)
        turns->rest_tsc = turns->turn_tsc;
    if (turns->poll || !polling_is_over(&turns->polling, turns->turn_tsc - turns->rest_tsc))
        return;
    turns->has_slept = true;
    turns->is_woken = frames_wait(frames, DATAPATH_WAIT_NS);
}

#endif
