/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the generator knows of each key: the version last sent, the version last acknowledged, and
 * whether a SET of it is in flight. 8 bytes and one bit a key.
 *
 * Version 0 means "not stored". Versions go up by one a SET and skip 0 when they wrap. At most one
 * SET of a key is in flight: two of them on two flows could overtake each other, and then nobody
 * could tell which answer is right. A SET that was lost may or may not have been carried out: its
 * version counts as sent, not as acknowledged.
 */
#ifndef NEARMETAL_TG_KEYS_H
#define NEARMETAL_TG_KEYS_H

#include <stdbool.h>
#include <stdint.h>

struct key_versions {
    uint32_t sent, acked;
};

struct keys {
    uint32_t nb_keys;
    struct key_versions *versions;
    uint64_t *setting; /* a bit a key: a SET is in flight */
};

/* False when memory is short. */
bool keys_open(struct keys *keys, uint32_t nb_keys);
void keys_close(struct keys *keys);

/* Forget everything: versions restart. */
void keys_reset(struct keys *keys);

static inline bool keys_setting(const struct keys *keys, uint32_t number)
{
    return number < keys->nb_keys && (keys->setting[number / 64] >> (number % 64) & 1) != 0;
}

/* A SET leaves: the version it writes. */
static inline uint32_t keys_set_begin(struct keys *keys, uint32_t number)
{
    struct key_versions *versions = &keys->versions[number];

    keys->setting[number / 64] |= 1ull << (number % 64);
    versions->sent += versions->sent == UINT32_MAX ? 2 : 1;
    return versions->sent;
}

/* It was answered or is lost; acked: with the right answer. */
static inline void keys_set_end(struct keys *keys, uint32_t number, bool acked)
{
    keys->setting[number / 64] &= ~(1ull << (number % 64));
    if (acked)
        keys->versions[number].acked = keys->versions[number].sent;
}

/* Both are 0 for keys that are never stored. */
static inline struct key_versions keys_versions(const struct keys *keys, uint32_t number)
{
    return number < keys->nb_keys ? keys->versions[number] : (struct key_versions){0, 0};
}

#endif
