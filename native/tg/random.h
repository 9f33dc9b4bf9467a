/* SPDX-License-Identifier: BSD-3-Clause */
/* splitmix64: one word of state, seeded with any number, fit for drawing workloads. */
#ifndef NEARMETAL_TG_RANDOM_H
#define NEARMETAL_TG_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
    uint64_t x = random->state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* A number in [0, n) from 32 random bits; the bias is below n / 2^32. */
static inline uint32_t random_scale(uint32_t bits, uint32_t n)
{
    return (uint32_t)(((uint64_t)bits * n) >> 32);
}

#endif
