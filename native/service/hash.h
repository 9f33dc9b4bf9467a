/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The keyed hash of a key: 64 bits from 1..250 bytes and a 128-bit random seed.
 *
 * Folded 64 x 64 -> 128-bit multiplications, as in wyhash: 16 bytes per multiplication. The seed is
 * mixed into both factors, so that keys that collide in one bucket cannot be chosen without knowing
 * the seed. The last fold includes the length: keys that differ only in padding do not collide.
 */
#ifndef NEARMETAL_HASH_H
#define NEARMETAL_HASH_H

#include "bytes.h"

struct hash_seed {
    uint64_t word[2];
};

static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_key(struct hash_seed seed, const uint8_t *key, uint32_t nb)
{
    uint64_t state = seed.word[0], a, b;
    for (; nb > 16; key += 16, nb -= 16)
        state = hash_fold(load64(key) ^ seed.word[1], load64(key + 8) ^ state);
    if (nb >= 8) {
        a = load64(key);
        b = load64(key + nb - 8);
    } else if (nb >= 4) {
        a = load32(key);
        b = load32(key + nb - 4);
    } else {
        a = (uint64_t)key[0] << 16 | (uint64_t)key[nb >> 1] << 8 | key[nb - 1];
        b = 0;
    }
    /* The second fold spreads what one product of nearly equal factors leaves clustered. The odd
     * constant keeps its factor from becoming 0 when the state equals the seed. */
    state = hash_fold(a ^ seed.word[1], b ^ state);
    return hash_fold(state ^ seed.word[0], seed.word[1] ^ (0x9e3779b97f4a7c15u * (nb + 1)));
}

#endif
