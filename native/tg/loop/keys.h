/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state of each key: the version last sent, the version last acknowledged, and whether a SET of
 * the key is in flight. 8 bytes and one bit a key.
 *
 * Version 0 means "not stored". Each SET adds 1 to the version and skips 0 when it wraps. At most
 * one SET of a key is in flight: two of them on two flows could overtake each other, and then no
 * answer could be judged. A lost SET may or may not have been executed: its version counts as sent,
 * but not as acknowledged.
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
    uint64_t *setting; /* one bit a key: a SET is in flight */
};

/* False: out of memory. */
bool keys_open(struct keys *keys, uint32_t nb_keys);
void keys_close(struct keys *keys);

/* Forget all keys: versions restart at 0. */
void keys_reset(struct keys *keys);

static inline bool keys_setting(const struct keys *keys, uint32_t number)
{
    return number < keys->nb_keys && (keys->setting[number / 64] >> (number % 64) & 1) != 0;
}

/* Begin a SET; returns the version that it writes. */
static inline uint32_t keys_set_begin(struct keys *keys, uint32_t number)
{
    struct key_versions *versions = &keys->versions[number];

    keys->setting[number / 64] |= 1ull << (number % 64);
    versions->sent += versions->sent == UINT32_MAX ? 2 : 1;
    return versions->sent;
}

/* End a SET, which was answered or is lost. acked: the answer was right. */
static inline void keys_set_end(struct keys *keys, uint32_t number, bool acked)
{
    keys->setting[number / 64] &= ~(1ull << (number % 64));
    if (acked)
        keys->versions[number].acked = keys->versions[number].sent;
}

/* Both versions of a key; 0 for keys that are never stored. */
static inline struct key_versions keys_versions(const struct keys *keys, uint32_t number)
{
    return number < keys->nb_keys ? keys->versions[number] : (struct key_versions){0, 0};
}

#endif
