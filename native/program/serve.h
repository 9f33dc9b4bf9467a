/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop between datapath and service. Counting, admission, the drop rule and the stop flag are
 * here and nowhere else. */
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
    uint64_t nb_replies;                    /* datagrams sent */
    uint64_t nb_by_reason[NB_DROP_REASONS]; /* requests; [DROP_NONE]: answered */
};

struct serve {
    struct service *service;
    struct datapath *datapath;
    unsigned batch;         /* most requests of one turn */
    const atomic_int *stop; /* set from outside: the current turn is the last */
    const atomic_int *ask;  /* set from outside: serve_until returns */
    unsigned nb_ahead;      /* how many of the next requests were already passed to service_ahead */
    struct serve_counters counters;
    struct admission admission; /* of every request and of its replies */
};

/* Return Unix time in nanoseconds that never decreases: wall time at the first call, then
 * monotonic. Defined in now.c for Linux programs, in uk/lib/clock for images. */
uint64_t serve_now_ns(void);

/* Run turns until *stop or *ask is set, or serve_now_ns() >= until_ns. A wait may make it up to
 * DATAPATH_WAIT_NS later. */
void serve_until(struct serve *serve, uint64_t until_ns);

/* Answer what is queued: run turns until one receives nothing, at most max_turns. */
void serve_drain(struct serve *serve, unsigned max_turns);

#endif
