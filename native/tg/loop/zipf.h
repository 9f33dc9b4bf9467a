/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Draws ranks with exactly the probabilities of Zipf's law, from a table that fits L1.
 *
 * Ranks are divided into segments in which the probability falls by less than 2 %; each of the
 * first ranks has a segment of its own. A segment is drawn by Walker's alias method, with the
 * weight that it would have if all its ranks were as likely as its first. Then a rank of it is
 * drawn uniformly, and kept with the ratio of its true weight to that of the first. A bound decides
 * most cases without computing a power. A rank that is not kept is drawn again, so the result
 * follows the law exactly.
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

/* A place of Walker's table: two segments side by side, so that the choice needs no second
 * lookup. */
struct zipf_place {
    uint32_t threshold; /* of 2^32: below it the first of the two */
    struct zipf_segment segments[2];
};

struct zipf {
    double exponent;
    uint32_t nb_segments;
    uint32_t sure; /* of 2^32: every rank is kept with at least this probability */
    struct zipf_place places[ZIPF_SEGMENTS_MAX];
    struct zipf_segment segments[ZIPF_SEGMENTS_MAX];
};

/* exponent > 0, nb_ranks 1..2^31. */
void zipf_init(struct zipf *zipf, uint32_t nb_ranks, double exponent);

/* A rank that may have to be drawn again: bits decide (zipf_draw_on). */
struct zipf_try {
    uint32_t rank, first; /* of its segment */
    uint32_t bits;
    bool sure; /* it is kept */
};

/* Use one random word. Its upper half times the number of places: the integer part selects a place,
 * the fraction one of its two segments. The lower half selects the rank in the same way, and its
 * fraction decides whether the rank is kept. The result is exact to within nb_ranks / 2^32. */
static inline struct zipf_try zipf_try(const struct zipf *zipf, struct random *random)
{
    uint64_t bits = random_next(random);
    uint64_t at = (bits >> 32) * zipf->nb_segments, rank;
    const struct zipf_place *place = &zipf->places[at >> 32];
    /* A select, not a branch: a random choice cannot be predicted. */
    const struct zipf_segment *segment = &place->segments[(uint32_t)at >= place->threshold];

    rank = (bits & UINT32_MAX) * segment->nb_ranks;
    return (struct zipf_try){.rank = segment->first + (uint32_t)(rank >> 32),
                             .first = segment->first,
                             .bits = (uint32_t)rank,
                             .sure = (uint32_t)rank <= zipf->sure};
}

/* The rest of zipf_draw, if the first try is not sure. */
uint32_t zipf_draw_on(const struct zipf *zipf, struct random *random, struct zipf_try try);

/* A rank in [0, nb_ranks). */
static inline uint32_t zipf_draw(const struct zipf *zipf, struct random *random)
{
    struct zipf_try try = zipf_try(zipf, random);

    return __builtin_expect(try.sure, 1) ? try.rank : zipf_draw_on(zipf, random, try);
}

#endif
