/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where requests come from: each key once, in order (preload: SET, verify: GET), the workload's
 * mix, or nowhere (drain). In preload and verify what was lost is asked again, a bounded number of
 * times.
 */
#ifndef NEARMETAL_TG_SOURCE_H
#define NEARMETAL_TG_SOURCE_H

#include <stdbool.h>

#include "workload.h"

enum phase { PHASE_DRAIN, PHASE_PRELOAD, PHASE_VERIFY, PHASE_MIX };

struct source {
    enum phase phase;
    uint32_t nb_keys;
    uint32_t next; /* preload, verify: the next key */
    uint32_t nb_done;
    struct workload *workload;
    struct draw *again; /* ring: to be sent once more; never more than in flight and drawn ahead */
    uint32_t again_head, nb_again, again_room;
};

/* room: most requests that are in flight or drawn. False when memory is short. */
bool source_open(struct source *source, struct workload *workload, uint32_t room);
void source_close(struct source *source);

void source_start(struct source *source, enum phase phase);

/* Fill draws[0..returned). */
unsigned source_fill(struct source *source, struct draw *draws, unsigned nb);

/* This draw was not sent, or is lost: it comes again. */
void source_again(struct source *source, struct draw draw);

#endif
