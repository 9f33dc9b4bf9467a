/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The open loop's schedule: when requests are due, independent of earlier requests.
 *
 * Times are TSC cycles with 32 bits of fraction, so the mean rate is exact for days. Some due times
 * are computed ahead and taken as requests are sent. A request that is due but cannot be sent,
 * because the window is full or the wire has no room, waits at most PACE_WAIT_NS; then it is not
 * sent.
 *
 * The wait counts from the time at which this program could first have sent the request. If the
 * program itself was stalled, it sends late what became due meanwhile; the latency counts from the
 * due time all the same. After a longer stall it sends only what became due in the last
 * PACE_CATCH_UP_NS. Until that backlog is gone, a request waits for its turn, and is given up only
 * if none was sent for PACE_WAIT_NS: this program caused the queue, not the target. `slipped` is
 * the longest stall. A schedule that slipped is no measurement of the target's tail.
 */
#ifndef NEARMETAL_TG_PACE_H
#define NEARMETAL_TG_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "random.h"

#define PACE_RATE_MIN 10.0
#define PACE_RATE_MAX 1e9
#define PACE_WAIT_NS 1000000u      /* or a quarter of the time-out, if that is less */
#define PACE_CATCH_UP_NS 10000000u /* or a quarter of the time-out, if that is less */
#define PACE_SLIP_NS 100000u       /* a look that is later than this is a slip */
#define PACE_AHEAD 64u             /* due times computed ahead */
#define PACE_LOG_STEPS 256u

struct pace {
    bool poisson;
    struct random random;
    uint64_t seed;
    uint64_t interval; /* cycles, 32 bits of fraction */
    uint64_t wait_cycles, catch_up_cycles, slip_cycles;
    unsigned __int128 last_due; /* with fraction: the last due time computed */
    uint32_t head, nb_ready;
    uint64_t due[PACE_AHEAD]; /* ring */
    uint64_t looked_cycles;   /* the last look */
    bool catching_up;         /* sending what became due in a stall that ended at stall_end */
    uint64_t stall_end;
    uint64_t left_cycles; /* when a request was last sent */
    /* Since they were last cleared: */
    uint64_t nb_intended, nb_not_sent, nb_slips;
    uint64_t slipped_cycles;                /* the latest look, in cycles */
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

/* Begin the schedule now. The same seed gives the same schedule. */
void pace_start(struct pace *pace, uint64_t now);

/* Give up requests that have waited too long. Returns how many are due, at most nb <= PACE_AHEAD,
 * and their due times in due[]. Call it every turn. */
unsigned pace_look(struct pace *pace, uint64_t now, uint64_t *due, unsigned nb);

/* The first nb of the due requests were sent; the others keep waiting. */
void pace_leave(struct pace *pace, unsigned nb);

/* End the schedule: requests that are due by now and wait are not sent. */
void pace_stop(struct pace *pace, uint64_t now);

#endif
