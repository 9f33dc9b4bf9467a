/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Draws the next request: GET, SET or a GET that must miss, and its key. The same seed draws the
 * same sequence.
 *
 * Ranks of popularity are scattered over the key numbers (rank * step + shift mod nb_keys, step
 * coprime to nb_keys), so hot keys are not neighbours. Behind the last of all keys there are as
 * many numbers that are never stored: misses request these. Several workloads can share the keys
 * without overlap: each has its own range, and draws from it with the same distribution.
 */
#ifndef NEARMETAL_TG_WORKLOAD_H
#define NEARMETAL_TG_WORKLOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "format.h"
#include "zipf.h"

#define WORKLOAD_KEYS_MAX (1u << 30)

struct workload_config {
    uint32_t nb_keys; /* 1..WORKLOAD_KEYS_MAX */
    /* If several workloads share the keys 0..nb_all - 1, this one has first..first + nb_keys - 1.
     * Otherwise 0. */
    uint32_t first, nb_all;
    double set, miss; /* shares of requests; the rest are GETs */
    double zipf;      /* exponent; 0: uniform */
    uint64_t seed;
};

struct draw {
    uint32_t number;
    uint8_t op;    /* enum op */
    uint8_t tries; /* how often it was sent before */
};

/* op and tries, in the form that a slot remembers (match.h). */
static inline uint16_t draw_asked(const struct draw *draw)
{
    return (uint16_t)(draw->op | draw->tries << 8);
}

struct workload {
    uint32_t nb_keys, first, nb_all;
    uint32_t below_set, below_miss; /* of 2^32; below_miss: of the requests that are no SETs */
    bool wide;                      /* draw by wide.h */
    uint64_t step, shift;
    uint64_t step_part, shift_part; /* step and shift in units of nb_keys / 2^64, rounded up */
    struct random random;
    struct zipf zipf; /* nb_segments 0: uniform */
};

void workload_init(struct workload *workload, const struct workload_config *config);

/*
 * The key of a rank: rank * step + shift mod nb_keys, without a division. In units of nb_keys /
 * 2^64 the modulus is the overflow of 64 bits. Rounding up makes the result too large by less than
 * 1 + rank units, and a key is 2^64 / nb_keys > nb_keys units wide.
 */
static inline uint32_t workload_key(const struct workload *workload, uint32_t rank)
{
    uint64_t parts = rank * workload->step_part + workload->shift_part;

    return workload->first + (uint32_t)((unsigned __int128)parts * workload->nb_keys >> 64);
}

/* The number of a key, drawn by Zipf's law. */
static inline uint32_t workload_number(const struct workload *workload, struct random *random)
{
    return workload_key(workload, zipf_draw(&workload->zipf, random));
}

void workload_fill(struct workload *workload, struct draw *draws, unsigned nb);

static inline struct draw workload_draw(struct workload *workload)
{
    struct draw draw;

    workload_fill(workload, &draw, 1);
    return draw;
}

/* The next key of this workload's range, cyclically. */
static inline uint32_t workload_next(const struct workload *workload, uint32_t number)
{
    number++;
    return number == workload->first + workload->nb_keys ? workload->first : number;
}

/* Replace the key of a draw by another one. */
void workload_redraw(struct workload *workload, struct draw *draw);

#endif
