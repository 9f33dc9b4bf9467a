/* SPDX-License-Identifier: BSD-3-Clause */
#include "zipf.h"

#include <assert.h>
#include <math.h>

#define ALONE 64u     /* so many first ranks have a segment each */
#define DRAWS_MAX 64u /* a draw is kept with p >= 0.96: practically never reached */

static uint32_t segments_cut(struct zipf *zipf, double *weights, uint32_t nb_ranks)
{
    uint32_t n = 0;

    zipf->sure = UINT32_MAX;
    for (uint32_t first = 0, nb; first < nb_ranks; first += nb) {
        struct zipf_segment *segment = &zipf->segments[n];
        double weight = pow(first + 1.0, -zipf->exponent);
        uint32_t sure;

        assert(n < ZIPF_SEGMENTS_MAX);
        nb = first < ALONE ? 1 : first / ALONE;
        if (nb > nb_ranks - first)
            nb = nb_ranks - first;
        segment->first = first;
        segment->nb_ranks = nb;
        /* Rounded down a little, so that rounding never keeps too many. */
        sure =
            (uint32_t)(pow((double)first + nb, -zipf->exponent) / weight * (1 - 1e-6) * UINT32_MAX);
        if (nb > 1 && sure < zipf->sure)
            zipf->sure = sure;
        weights[n++] = weight * nb;
    }
    return n;
}

/* Vose's construction of Walker's table: one rich segment fills up each poor one. */
static void aliases_make(struct zipf *zipf, double *weights)
{
    uint32_t poor[ZIPF_SEGMENTS_MAX], rich[ZIPF_SEGMENTS_MAX], nb_poor = 0, nb_rich = 0;
    uint32_t n = zipf->nb_segments;
    double sum = 0;

    for (uint32_t i = 0; i < n; i++)
        sum += weights[i];
    for (uint32_t i = 0; i < n; i++) {
        weights[i] *= n / sum;
        zipf->places[i].threshold = UINT32_MAX;
        zipf->places[i].segments[0] = zipf->places[i].segments[1] = zipf->segments[i];
        if (weights[i] < 1)
            poor[nb_poor++] = i;
        else
            rich[nb_rich++] = i;
    }
    while (nb_poor > 0 && nb_rich > 0) {
        uint32_t p = poor[--nb_poor], r = rich[nb_rich - 1];

        zipf->places[p].threshold = (uint32_t)(weights[p] * UINT32_MAX);
        zipf->places[p].segments[1] = zipf->segments[r];
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

static bool is_kept(const struct zipf *zipf, const struct zipf_try *try)
{
    double keep = try->bits * 0x1p-32;

    return try->sure || try->rank == try->first ||
           keep < pow((try->rank + 1.0) / (try->first + 1.0), -zipf->exponent);
}

uint32_t zipf_draw_on(const struct zipf *zipf, struct random *random, struct zipf_try try)
{
    for (unsigned i = 1; i < DRAWS_MAX && !is_kept(zipf, &try); i++)
        try = zipf_try(zipf, random);
    return try.rank;
}
