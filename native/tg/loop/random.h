/* SPDX-License-Identifier: BSD-3-Clause */
/* wyrand: one word of state, any seed, one multiplication a number; good enough to draw
 * workloads. */
#ifndef NEARMETAL_TG_RANDOM_H
#define NEARMETAL_TG_RANDOM_H

#include <stdint.h>

/* The state is a counter: number n from now on follows from state + n * RANDOM_STEP. */
#define RANDOM_STEP 0xa0761d6478bd642fu

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
    unsigned __int128 product;

    random->state += RANDOM_STEP;
    product = (unsigned __int128)random->state * (random->state ^ 0xe7037ed1a0b428dbu);
    return (uint64_t)(product >> 64) ^ (uint64_t)product;
}

/* Scale 32 random bits to a number in [0, n); the bias is below n / 2^32. */
static inline uint32_t random_scale(uint32_t bits, uint32_t n)
{
    return (uint32_t)(((uint64_t)bits * n) >> 32);
}

#endif
