/* SPDX-License-Identifier: BSD-3-Clause */
#include "zipf.h"

#include <assert.h>
#include <math.h>

#define ALONE 64u     /* this many first ranks have a segment each */
#define DRAWS_MAX 64u /* a draw is kept with p >= 0.96, so nothing is ever cut short here */

static uint32_t segments_cut(struct zipf *zipf, double *weights, uint32_t nb_ranks)
{
    uint32_t n = 0;

    for (uint32_t first = 0, nb; first < nb_ranks; first += nb) {
        struct zipf_segment *segment = &zipf->segments[n];
        double weight = pow(first + 1.0, -zipf->exponent);

        assert(n < ZIPF_SEGMENTS_MAX);
        nb = first < ALONE ? 1 : first / ALONE;
        if (nb > nb_ranks - first)
            nb = nb_ranks - first;
        segment->first = first;
        segment->nb_ranks = nb;
        /* Rounded down a little, so that rounding to float never keeps too many. */
        segment->sure = (float)(pow((double)first + nb, -zipf->exponent) / weight * (1 - 1e-6));
        weights[n++] = weight * nb;
    }
    return n;
}

/* Vose's way of building Walker's table: each poor segment is topped up by one rich one. */
static void aliases_make(struct zipf *zipf, double *weights)
{
    uint32_t poor[ZIPF_SEGMENTS_MAX], rich[ZIPF_SEGMENTS_MAX], nb_poor = 0, nb_rich = 0;
    uint32_t n = zipf->nb_segments;
    double sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum += weights[i];
    for (uint32_t i = 0; i < n; i++) {
        weights[i] *= n / sum;
        zipf->segments[i].threshold = UINT32_MAX;
        zipf->segments[i].alias = i;
        if (weights[i] < 1)
            poor[nb_poor++] = i;
        else
            rich[nb_rich++] = i;
    }
    while (nb_poor > 0 && nb_rich > 0) {
        uint32_t p = poor[--nb_poor], r = rich[nb_rich - 1];

        zipf->segments[p].threshold = (uint32_t)(weights[p] * UINT32_MAX);
        zipf->segments[p].alias = r;
        weights[r] -= 1 - weights[p];
        if (weights[r] < 1) {
            nb_rich--;
            poor[nb_poor++] = r;
        }
    }
}

void zipf_init(struct zipf *zipf, uint32_t nb_ranks, double exponent)
{
    double weights[ZIPF_SEGMENTS_MAX];

    assert(nb_ranks >= 1 && nb_ranks <= 1u << 31 && exponent > 0);
    zipf->exponent = exponent;
    zipf->nb_segments = segments_cut(zipf, weights, nb_ranks);
    aliases_make(zipf, weights);
}

static uint32_t segment_draw(const struct zipf *zipf, struct random *random)
{
    uint64_t bits = random_next(random);
    uint32_t i = random_scale((uint32_t)bits, zipf->nb_segments);

    return (uint32_t)(bits >> 32) < zipf->segments[i].threshold ? i : zipf->segments[i].alias;
}

uint32_t zipf_draw(const struct zipf *zipf, struct random *random)
{
    uint32_t rank = 0;

    for (unsigned i = 0; i < DRAWS_MAX; i++) {
        const struct zipf_segment *segment = &zipf->segments[segment_draw(zipf, random)];
        uint64_t bits;
        double keep;

        if (segment->nb_ranks == 1)
            return segment->first;
        bits = random_next(random);
        rank = segment->first + random_scale((uint32_t)bits, segment->nb_ranks);
        keep = (double)(bits >> 32) * 0x1p-32;
        if (keep < segment->sure ||
            keep < pow((rank + 1.0) / (segment->first + 1.0), -zipf->exponent))
            return rank;
    }
    return rank;
}
