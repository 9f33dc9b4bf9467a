/* SPDX-License-Identifier: BSD-3-Clause */
/* Results of a part of the measured time, of one loop or of several together. */
#ifndef NEARMETAL_TG_MEASURED_H
#define NEARMETAL_TG_MEASURED_H

#include <stdbool.h>
#include <stdint.h>

#include "counts.h"
#include "loop.h"
#include "record.h"

struct measured {
    uint64_t duration_ns;
    uint64_t tsc_hz;
    struct counts counts;
    struct cycles cycles;
    struct record latency;
    /* For the open loop: */
    bool paced;
    uint64_t nb_intended, nb_not_sent; /* intended = sent + not_sent */
    uint64_t nb_slips;                 /* late looks at the schedule */
    uint64_t slipped_ns;               /* the latest look */
    /* Loads that say what is wrong: the first wrong answer, without characters that JSON escapes.
     */
    char first_wrong[LOOP_SAID_BYTES];
};

void measured_reset(struct measured *measured);

/* Move the loop's counts since the last call into `sum`. */
void measured_take(struct measured *sum, struct loop *loop);

void measured_add(struct measured *sum, const struct measured *part);

/* Forget the loop's counts so far. */
void measured_forget(struct loop *loop);

#endif
