/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The source of requests: each record of `before` once, the next one when the last was answered;
 * each key once, in order (preload: SET, verify: GET); the workload's mix; or none (drain). A lost
 * request is sent again a limited number of times, except in the mix.
 */
#ifndef NEARMETAL_TG_SOURCE_H
#define NEARMETAL_TG_SOURCE_H

#include <stdbool.h>

#include "workload.h"

enum phase { PHASE_DRAIN, PHASE_BEFORE, PHASE_PRELOAD, PHASE_VERIFY, PHASE_MIX };

struct source {
    enum phase phase;
    uint32_t nb_once; /* requests of a phase that sends each once */
    uint32_t next;    /* of them, the next one */
    uint32_t nb_done;
    struct workload *workload;
    struct draw *again; /* ring: to be sent again; at most those in flight and drawn ahead */
    uint32_t again_head, nb_again, again_room;
    uint32_t nb_before; /* the records of `before`, numbered behind all keys */
};

/* Whether a phase sends each of its requests once. */
static inline bool phase_once(enum phase phase)
{
    return phase != PHASE_DRAIN && phase != PHASE_MIX;
}

/* room: most requests in flight or drawn ahead. False: out of memory. */
bool source_open(struct source *source, struct workload *workload, uint32_t room);
void source_close(struct source *source);

void source_start(struct source *source, enum phase phase);

/* Fill draws[0..returned). */
unsigned source_fill(struct source *source, struct draw *draws, unsigned nb);

/* Send this draw again later: it was not sent, or is lost. */
void source_again(struct source *source, struct draw draw);

#endif
