/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop: keeps a window of requests in flight, and sends a new one for each that was answered or
 * lost, on the flow that became free. A turn receives a burst, checks it, times out lost requests,
 * then draws and sends as many as have rooms; in the open loop only those that are due (pace.h).
 * What is sent, and whether a reply is right, is the load's (load_type.h).
 */
#ifndef NEARMETAL_TG_LOOP_H
#define NEARMETAL_TG_LOOP_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "counts.h"
#include "load_type.h"
#include "match.h"
#include "pace.h"
#include "port.h"
#include "record.h"
#include "source.h"
#include "workload.h"

#define LOOP_SAID_BYTES 80u
#define LOOP_DRAWS 256u /* a power of two, room for two bursts */

struct loop {
    struct port *port;
    const struct load_type *type;
    uint64_t (*turn)(struct loop *loop); /* of the load */
    union load_state state;              /* of the load */
    uint32_t request_bytes, reply_bytes; /* the longest of the load */
    struct workload workload;
    struct source source;
    struct match match;
    uint64_t nb_sets;  /* SETs sent since the start */
    bool counted;      /* requests sent now belong to the measured time */
    struct pace *pace; /* open loop: the schedule of the mix; NULL: closed loop */
    bool paced;        /* the schedule applies now */
    uint32_t window;
    /* Most requests or replies at a time: half the window, so that the target can work on the other
     * half meanwhile. */
    uint32_t burst;
    uint16_t *free_flows; /* ring: flows that may send, in the order they became free */
    uint32_t free_mask, free_head, nb_free;
    uint32_t next_draw, end_draws; /* draws made ahead: [next, end) of the ring */
    struct draw draws[LOOP_DRAWS];
    struct digits digits[LOOP_DRAWS]; /* of the draws' numbers */
    double ns_per_cycle;
    uint64_t round_cycles;      /* when the port's current round began */
    uint64_t turn_cycles;       /* when the last turn ended */
    uint64_t last_reply_cycles; /* when the target last answered a request */
    /* During the whole phase, counted or not: */
    uint64_t phase_lost, phase_wrong, phase_missed;
    bool gave_up;               /* a request of preload or verify was sent too often */
    char said[LOOP_SAID_BYTES]; /* the phase's first wrong answer, printable */
    /* During the measured time, since last taken: */
    struct counts counts;
    struct cycles cycles;
    struct record latency;
    struct classes classes;
};

struct loop_config {
    uint32_t nb_flows, window;
    uint64_t timeout_ns;
    uint64_t tsc_hz;
};

/* Choose the load; the port is opened with the lengths that this sets. False: a length of the load
 * is out of range. */
bool loop_init(struct loop *loop, const struct load_type *type, const struct load_config *config);

/* Set up the rest; workload is initialised, port is open. False: out of memory. */
bool loop_open(struct loop *loop, const struct loop_config *config);
void loop_close(struct loop *loop);

/* One more request may be sent, on this flow. */
static inline void loop_flow_free(struct loop *loop, uint32_t flow)
{
    assert(loop->nb_free < loop->window);
    loop->free_flows[(loop->free_head + loop->nb_free++) & loop->free_mask] = (uint16_t)flow;
}

/* Begin a phase. counted: its requests belong to the measured time. */
void loop_start(struct loop *loop, enum phase phase, bool counted);

/* Open loop: stop the schedule at `now`; requests that are due and wait are not sent. */
void loop_unpace(struct loop *loop, uint64_t now);

/* Do one turn; returns the time in TSC cycles. */
static inline uint64_t loop_turn(struct loop *loop)
{
    return loop->turn(loop);
}

#endif
