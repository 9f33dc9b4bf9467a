/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The turns of a datagram datapath over frames: where its cycles went, and when it sleeps.
 *
 * One read of the time stamp counter a turn says where its cycles went: to a turn that found
 * something or to one that found nothing. After a millisecond without a frame, empty turns sleep.
 */
#ifndef NEARMETAL_TURNS_H
#define NEARMETAL_TURNS_H

#include "frames.h"

#define TURNS_IDLE_PER_SECOND 1000u /* 1 ms */

struct turns {
    bool poll;
    bool is_busy;         /* the turn at hand found something */
    uint64_t turn_tsc;    /* when it began */
    uint64_t frame_tsc;   /* when a frame was last there */
    uint64_t idle_cycles; /* empty turns sleep after so many */
    struct datapath_stats stats;
};

static inline void turns_open(struct turns *turns, bool poll, uint64_t tsc_hz)
{
    turns->poll = poll;
    turns->idle_cycles = tsc_hz / TURNS_IDLE_PER_SECOND;
    turns->turn_tsc = turns->frame_tsc = __builtin_ia32_rdtsc();
}

/* One turn ends and the next begins, with a look for frames. */
static inline void turns_begin(struct turns *turns)
{
    uint64_t now_tsc = __builtin_ia32_rdtsc();
    uint64_t cycles = now_tsc - turns->turn_tsc;

    turns->stats.busy_cycles += turns->is_busy ? cycles : 0;
    turns->stats.empty_cycles += turns->is_busy ? 0 : cycles;
    turns->turn_tsc = now_tsc;
}

/* What the look found; where it found nothing, perhaps asleep. */
static inline void turns_found(struct turns *turns, struct frames *frames, unsigned nb_rx)
{
    turns->is_busy = nb_rx > 0;
    if (nb_rx > 0) {
        turns->frame_tsc = turns->turn_tsc;
        return;
    }
    turns->stats.nb_empty_rx++;
    if (!turns->poll && turns->turn_tsc - turns->frame_tsc > turns->idle_cycles)
        frames_wait(frames, DATAPATH_WAIT_NS);
}

#endif
