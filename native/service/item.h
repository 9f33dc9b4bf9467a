/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An item in the log: a 16-byte header, the key, the value, rounded up to 8 bytes.
 *
 * The header packs into two words what memcached keeps in 48 bytes, so that a 16-byte key with a
 * 32-byte value is exactly one cache line. A key of 0 bytes marks a dead item, or the filler before
 * the end of the log. Such an item has only its first word, and its value length is its size in
 * units, so that a hole of a single unit can be described too.
 */
#ifndef NEARMETAL_ITEM_H
#define NEARMETAL_ITEM_H

#include "bytes.h"

#define ITEM_UNIT_BYTES 8u
#define ITEM_HEADER_BYTES 16u
#define ITEM_KEY_BYTES_MAX 250u
#define ITEM_VALUE_BYTES_MAX 65535u
#define ITEM_CAS_BITS 40

struct item {
    uint64_t word; /* bits 0-7 key bytes, 8-23 value bytes, 24-63 cas */
    uint32_t flags;
    uint32_t expires_s; /* on the service's counter of seconds; 0: never */
    uint8_t bytes[];    /* key, then value */
};
_Static_assert(sizeof(struct item) == ITEM_HEADER_BYTES, "the header is two words");

static inline uint64_t item_word(uint32_t key_bytes, uint32_t value_bytes, uint64_t cas)
{
    return key_bytes | (uint64_t)value_bytes << 8 | cas << 24;
}

static inline uint32_t item_key_bytes(const struct item *item)
{
    return item->word & 0xff;
}

static inline uint32_t item_value_bytes(const struct item *item)
{
    return item->word >> 8 & 0xffff;
}

static inline uint64_t item_cas(const struct item *item)
{
    return item->word >> 24;
}

static inline uint8_t *item_value(struct item *item)
{
    return item->bytes + item_key_bytes(item);
}

static inline uint32_t item_size_bytes(uint32_t key_bytes, uint32_t value_bytes)
{
    return (ITEM_HEADER_BYTES + key_bytes + value_bytes + ITEM_UNIT_BYTES - 1) &
           ~(ITEM_UNIT_BYTES - 1);
}

static inline bool item_is_dead(const struct item *item)
{
    return item_key_bytes(item) == 0;
}

/* Return the bytes that an item occupies in the log, dead or alive. */
static inline uint32_t item_bytes(const struct item *item)
{
    if (item_is_dead(item))
        return item_value_bytes(item) * ITEM_UNIT_BYTES;
    return item_size_bytes(item_key_bytes(item), item_value_bytes(item));
}

#endif
