/* SPDX-License-Identifier: BSD-3-Clause */
/* The hash: depends on every byte, the length and the seed; spreads numbered keys evenly. */
#include <string.h>

#include "../check.h"
#include "hash.h"

static const struct hash_seed seed = {{0x0123456789abcdefu, 0xfedcba9876543210u}};

static void every_byte_and_length_counts(void)
{
    for (uint32_t nb = 1; nb <= 250; nb++) {
        uint8_t *key = malloc(nb); /* exactly this size: a sanitizer sees a read past it */
        CHECK(key != NULL);
        memset(key, 'k', nb);
        uint64_t hash = hash_key(seed, key, nb);
        for (uint32_t i = 0; i < nb; i++) {
            key[i] = 'l';
            CHECK(hash_key(seed, key, nb) != hash);
            key[i] = 'k';
        }
        CHECK(nb == 1 || hash_key(seed, key, nb - 1) != hash);
        free(key);
    }
}

static void another_seed_is_another_hash(void)
{
    struct hash_seed others[] = {{{seed.word[0] ^ 1, seed.word[1]}},
                                 {{seed.word[0], seed.word[1] ^ 1}}};
    CHECK(hash_key(seed, (const uint8_t *)"key", 3) !=
          hash_key(others[0], (const uint8_t *)"key", 3));
    CHECK(hash_key(seed, (const uint8_t *)"key", 3) !=
          hash_key(others[1], (const uint8_t *)"key", 3));
}

/* Chi-square over 256 cells of each byte of the hash; the bound is 9 standard deviations off. */
static void numbered_keys_spread(void)
{
    enum { NB_KEYS = 256 * 1000 };
    static uint32_t counts[8][256];
    for (uint32_t i = 0; i < NB_KEYS; i++) {
        char key[17];
        snprintf(key, sizeof(key), "nm%014u", i);
        uint64_t hash = hash_key(seed, (const uint8_t *)key, 16);
        for (uint32_t byte = 0; byte < 8; byte++)
            counts[byte][hash >> (8 * byte) & 0xff]++;
    }
    for (uint32_t byte = 0; byte < 8; byte++) {
        double chi_square = 0;
        for (uint32_t i = 0; i < 256; i++) {
            double off = counts[byte][i] - NB_KEYS / 256.0;
            chi_square += off * off / (NB_KEYS / 256.0);
        }
        CHECK(chi_square > 255 - 9 * 22.6 && chi_square < 255 + 9 * 22.6);
    }
}

int main(void)
{
    every_byte_and_length_counts();
    another_seed_is_another_hash();
    numbered_keys_spread();
    return 0;
}
