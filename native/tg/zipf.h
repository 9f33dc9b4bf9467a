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

#include <stdbool.h>
#include <stdint.h>

#include "random.h"

#define ZIPF_SEGMENTS_MAX 2048u

struct zipf_segment {
    uint32_t threshold; /* of 2^32: keep this segment, else take alias */
    uint32_t alias;
    uint32_t first; /* rank, from 0 */
    uint32_t nb_ranks;
    uint32_t sure; /* of 2^32: any rank of it is kept at least with this probability */
};

struct zipf {
    double exponent;
    uint32_t nb_segments;
    struct zipf_segment segments[ZIPF_SEGMENTS_MAX];
};

/* exponent > 0, nb_ranks 1..2^31. */
void zipf_init(struct zipf *zipf, uint32_t nb_ranks, double exponent);

/* A rank that may have to be drawn anew: bits decide whether (zipf_keep). */
struct zipf_try {
    uint32_t rank, first; /* of its segment */
    uint32_t bits;
    bool sure; /* it is kept */
};

static inline struct zipf_try zipf_try(const struct zipf *zipf, struct random *random)
{
    uint64_t bits = random_next(random), more = random_next(random);
    uint32_t i = random_scale((uint32_t)bits, zipf->nb_segments);
    const struct zipf_segment *segment = &zipf->segments[i];
    uint32_t alias, kept;

    /* Which of the two is a matter of chance: no branch could be foretold. */
    alias = segment->alias;
    kept = 0u - (uint32_t)((uint32_t)(bits >> 32) < segment->threshold);
    i = alias ^ ((i ^ alias) & kept);
    segment = &zipf->segments[i];
    return (struct zipf_try){.rank =
                                 segment->first + random_scale((uint32_t)more, segment->nb_ranks),
                             .first = segment->first,
                             .bits = (uint32_t)(more >> 32),
                             .sure = (uint32_t)(more >> 32) <= segment->sure};
}

/* What zipf_draw does where a first try is not sure. */
uint32_t zipf_draw_on(const struct zipf *zipf, struct random *random, struct zipf_try try);

/* A rank in [0, nb_ranks). */
static inline uint32_t zipf_draw(const struct zipf *zipf, struct random *random)
{
    struct zipf_try try = zipf_try(zipf, random);

    return __builtin_expect(try.sure, 1) ? try.rank : zipf_draw_on(zipf, random, try);
}

#endif
