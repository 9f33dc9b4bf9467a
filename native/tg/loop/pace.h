/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The open loop's schedule: when requests are due, whatever becomes of those before them.
 *
 * Times are TSC cycles with 32 bits of fraction, so the mean holds for days. A few of them are kept
 * ready, and taken as requests leave. One that is due and cannot leave, because the window is full
 * or the wire has no room, waits at most PACE_WAIT_NS; then it is not sent.
 *
 * Waiting counts from when this program could first have sent it. Where the program itself was held
 * up, it did not look: what fell due meanwhile is caught up with, late, its latency counted from
 * when it was due all the same; of a longer stall only the last PACE_CATCH_UP_NS. Until that
 * backlog is gone a request waits for its turn, and is given up only when none has left for
 * PACE_WAIT_NS: the queue is of this program's making, not the target's. How long the worst stall
 * was is `slipped`, and a schedule that slipped is no measurement of the target's tail.
 */
#ifndef NEARMETAL_TG_PACE_H
#define NEARMETAL_TG_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "random.h"

#define PACE_RATE_MIN 10.0
#define PACE_RATE_MAX 1e9
#define PACE_WAIT_NS 1000000u      /* and a quarter of the time-out, where that is less */
#define PACE_CATCH_UP_NS 10000000u /* likewise */
#define PACE_SLIP_NS 100000u       /* a look that is later than this is a slip */
#define PACE_AHEAD 64u             /* due times kept ready */
#define PACE_LOG_STEPS 256u

struct pace {
    bool poisson;
    struct random random;
    uint64_t seed;
    uint64_t interval; /* cycles, 32 bits of fraction */
    uint64_t wait_cycles, catch_up_cycles, slip_cycles;
    unsigned __int128 last_due; /* with fraction: of the youngest time kept ready */
    uint32_t head, nb_ready;
    uint64_t due[PACE_AHEAD]; /* ring */
    uint64_t looked_cycles;   /* the last look */
    bool catching_up;         /* with what fell due in a stall that ended at: */
    uint64_t stall_end;
    uint64_t left_cycles; /* when a request last left */
    /* Since they were last cleared: */
    uint64_t nb_intended, nb_not_sent, nb_slips;
    uint64_t slipped_cycles;                /* the most by which a look was late */
    uint64_t minus_log[PACE_LOG_STEPS + 1]; /* -ln(x), 1/2 <= x <= 1, 32 bits of fraction */
};

struct pace_config {
    double rate; /* requests a second, PACE_RATE_MIN..PACE_RATE_MAX */
    bool poisson;
    uint64_t seed;
    uint64_t tsc_hz, timeout_ns;
};

void pace_init(struct pace *pace, const struct pace_config *config);

/* Clear the counts. */
static inline void pace_forget(struct pace *pace)
{
    pace->nb_intended = pace->nb_not_sent = pace->nb_slips = pace->slipped_cycles = 0;
}

/* The schedule from its beginning, which is now. The same seed gives the same one. */
void pace_start(struct pace *pace, uint64_t now);

/* Give up what has waited too long; returns how many, at most nb <= PACE_AHEAD, are due, and when
 * each was. Call it every turn. */
unsigned pace_look(struct pace *pace, uint64_t now, uint64_t *due, unsigned nb);

/* The first nb of those have left; the others wait on. */
void pace_leave(struct pace *pace, unsigned nb);

/* The end: what was due by now and waits still, is not sent. */
void pace_stop(struct pace *pace, uint64_t now);

#endif
