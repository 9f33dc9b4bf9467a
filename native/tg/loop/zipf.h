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
    uint32_t first; /* rank, from 0 */
    uint32_t nb_ranks;
};

/* A place of Walker's table: two segments, side by side, so that which of them it is needs no
 * further look. */
struct zipf_place {
    uint32_t threshold; /* of 2^32: below it the first of the two */
    struct zipf_segment segments[2];
};

struct zipf {
    double exponent;
    uint32_t nb_segments;
    uint32_t sure; /* of 2^32: any rank of any segment is kept at least with this probability */
    struct zipf_place places[ZIPF_SEGMENTS_MAX];
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

/* One random word: its upper half times the number of places is a place, and what is behind the
 * point decides between its two segments; the lower half gives a rank and whether it is kept, in
 * the same way. So all is exact to within nb_ranks / 2^32. */
static inline struct zipf_try zipf_try(const struct zipf *zipf, struct random *random)
{
    uint64_t bits = random_next(random);
    uint64_t at = (bits >> 32) * zipf->nb_segments, rank;
    const struct zipf_place *place = &zipf->places[at >> 32];
    /* Which of the two is a matter of chance: no branch could be foretold. */
    const struct zipf_segment *segment = &place->segments[(uint32_t)at >= place->threshold];

    rank = (bits & UINT32_MAX) * segment->nb_ranks;
    return (struct zipf_try){.rank = segment->first + (uint32_t)(rank >> 32),
                             .first = segment->first,
                             .bits = (uint32_t)rank,
                             .sure = (uint32_t)rank <= zipf->sure};
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
