/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop between datapath and service. Counting, admission, the drop rule and the stop flag live
 * here and nowhere else.
 */
#ifndef NEARMETAL_SERVE_H
#define NEARMETAL_SERVE_H

#include <stdatomic.h>
#include <stdint.h>

#include "admission.h"
#include "datapath.h"
#include "service.h"

/* Requests are conserved: nb_received = sum of nb_by_reason. */
struct serve_counters {
    uint64_t nb_received;                   /* requests */
    uint64_t nb_replies;                    /* datagrams that left */
    uint64_t nb_by_reason[NB_DROP_REASONS]; /* requests; [DROP_NONE] are the answered ones */
};

struct serve {
    struct service *service;
    struct datapath *datapath;
    unsigned batch;         /* most requests of one turn */
    const atomic_int *stop; /* set from outside: the present turn is the last */
    const atomic_int *ask;  /* set from outside: serve_until returns */
    unsigned nb_ahead;      /* of the next requests, those that service_ahead was told of */
    struct serve_counters counters;
    struct admission admission; /* of every request, before the service sees it, and its replies */
};

/* Unix time in nanoseconds that never goes back: wall time at the first call, then monotonic. A
 * program of Linux has it from now.c, an image from uk/lib/clock. */
uint64_t serve_now_ns(void);

/* Take turns until *stop or *ask, or until serve_now_ns() >= until_ns (a wait may make it
 * DATAPATH_WAIT_NS later). */
void serve_until(struct serve *serve, uint64_t until_ns);

/* Answer what is queued: turns until one comes back empty, at most max_turns. */
void serve_drain(struct serve *serve, unsigned max_turns);

#endif
