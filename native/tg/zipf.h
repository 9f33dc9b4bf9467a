/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Draws ranks with the probability of Zipf's law, exactly, from a table that stays in L1.
 *
 * Ranks are cut into segments over which the probability falls by less than 2 %; the first ranks
 * are alone in theirs. A segment is drawn by Walker's alias method with the weight it would have
 * if all its ranks were as likely as its first; a rank is drawn from it uniformly, and kept with
 * the probability its true weight has to that of the first (nearly always: a bound decides without
 * computing a power). What is not kept is drawn anew, so the outcome follows the law exactly.
 */
#ifndef NEARMETAL_TG_ZIPF_H
#define NEARMETAL_TG_ZIPF_H

#include <stdint.h>

#include "random.h"

#define ZIPF_SEGMENTS_MAX 2048u

struct zipf_segment {
    uint32_t threshold; /* of 2^32: keep this segment, else take alias */
    uint32_t alias;
    uint32_t first; /* rank, from 0 */
    uint32_t nb_ranks;
    float sure; /* probability that any rank of it is kept at least with */
};

struct zipf {
    double exponent;
    uint32_t nb_segments;
    struct zipf_segment segments[ZIPF_SEGMENTS_MAX];
};

/* exponent > 0, nb_ranks 1..2^31. */
void zipf_init(struct zipf *zipf, uint32_t nb_ranks, double exponent);

/* A rank in [0, nb_ranks). */
uint32_t zipf_draw(const struct zipf *zipf, struct random *random);

#endif
