/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What is asked next: GET, SET or a GET that must miss, and of which key. Seeded, so that the same
 * workload draws the same sequence.
 *
 * Ranks of popularity are scattered over the key numbers (rank * step + shift mod nb_keys, step
 * without common divisor): hot keys do not lie side by side. Behind the last of all keys, as many
 * again are never stored; they are what misses ask for. Several workloads share the keys without
 * meeting: each has a range of its own, and draws from it by the same law.
 */
#ifndef NEARMETAL_TG_WORKLOAD_H
#define NEARMETAL_TG_WORKLOAD_H

#include <stdint.h>

#include "format.h"
#include "zipf.h"

#define WORKLOAD_KEYS_MAX (1u << 30)

struct workload_config {
    uint32_t nb_keys; /* 1..WORKLOAD_KEYS_MAX */
    /* Where several share the keys 0..nb_all - 1: ours are first..first + nb_keys - 1. Else 0. */
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

/* op and tries, as a slot remembers them (match.h). */
static inline uint16_t draw_asked(const struct draw *draw)
{
    return (uint16_t)(draw->op | draw->tries << 8);
}

struct workload {
    uint32_t nb_keys, first, nb_all;
    uint32_t below_set, below_miss; /* of 2^32; below_miss: of what is no SET */
    uint64_t step, shift;
    uint64_t step_part, shift_part; /* the same in parts of nb_keys, of 2^64, rounded up */
    struct random random;
    struct zipf zipf; /* nb_segments 0: uniform */
};

void workload_init(struct workload *workload, const struct workload_config *config);

/*
 * The key of a rank: rank * step + shift mod nb_keys, without a division. In parts of nb_keys the
 * modulus is what overflows; rounded up, they are too large by less than 1 + rank, and a key is
 * 2^64 / nb_keys > nb_keys of them wide.
 */
static inline uint32_t workload_key(const struct workload *workload, uint32_t rank)
{
    uint64_t parts = rank * workload->step_part + workload->shift_part;

    return workload->first + (uint32_t)((unsigned __int128)parts * workload->nb_keys >> 64);
}

void workload_fill(struct workload *workload, struct draw *draws, unsigned nb);

static inline struct draw workload_draw(struct workload *workload)
{
    struct draw draw;

    workload_fill(workload, &draw, 1);
    return draw;
}

/* The key after this one, of ours. */
static inline uint32_t workload_next(const struct workload *workload, uint32_t number)
{
    number++;
    return number == workload->first + workload->nb_keys ? workload->first : number;
}

/* Another key for the same draw. */
void workload_redraw(struct workload *workload, struct draw *draw);

#endif
