/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store: items by key, in one block of memory that never grows.
 *
 * A tenth of the memory is the index (table.h), the rest a log of items (log.h). Storing never
 * fails for lack of room: it evicts. The policy is a clock over a circular log. At the tail a dead
 * item is skipped, an expired one is dropped, a referenced one is appended again without its mark,
 * and any other is evicted. While much of the log is dead, live items are appended again too, which
 * removes the holes between them. The work per call is bounded by the size of the new item.
 *
 * Time is a counter of seconds that starts with the store and advances with the seconds of Unix
 * time. An item has expired when its expires_s is not above the counter. Expired items are found
 * when they are looked up or reach the tail.
 */
#ifndef NEARMETAL_STORE_H
#define NEARMETAL_STORE_H

#include "log.h"
#include "table.h"

/* A smaller store could not hold the largest items and still turn over. */
#define STORE_BYTES_MIN (640u << 10)
/* The counter starts here, so that 1 is always in the past and 0 can mean never. */
#define STORE_START_S 2u
/* A larger exptime is Unix time, as in memcached. */
#define STORE_RELATIVE_S_MAX (30 * 24 * 60 * 60)

struct store {
    struct table table;
    struct log log;
    uint32_t now_s;
    uint32_t flush_at_s;   /* time of a delayed flush_all; 0: none */
    uint64_t start_unix_s; /* Unix time at which the counter started */
    uint64_t next_cas;
    uint64_t nb_items, live_bytes;
    uint64_t nb_evicted, nb_expired, nb_flushed, nb_stored;
    uint8_t *joined; /* ITEM_VALUE_BYTES_MAX bytes, in which append and incr compose a value */
};

/* The content stored under a key. */
struct content {
    const uint8_t *value;
    uint32_t value_bytes;
    uint32_t flags;
    uint32_t expires_s;
};

/* Open a store. memory: 64-byte aligned and zeroed. Returns NULL, or one sentence for the user. */
const char *store_open(struct store *store, void *memory, uint64_t memory_bytes,
                       const uint8_t seed[16], uint64_t now_ns);

/* Set the counter from Unix time, and carry out a flush that is due. */
void store_set_time(struct store *store, uint64_t now_ns);

/* Convert an exptime of the protocol to the counter's value at which it ends; 0: never. */
uint32_t store_expires_s(const struct store *store, int32_t exptime);

/* Forget everything when the counter reaches at_s. */
void store_flush(struct store *store, uint32_t at_s);

/* Store, replacing any old content. content->value may be store->joined, but no item's bytes. */
void store_put(struct store *store, uint64_t hash, const uint8_t *key, uint32_t key_bytes,
               const struct content *content);

/* Delete. Returns whether the key was there. */
bool store_delete(struct store *store, uint64_t hash, const uint8_t *key, uint32_t key_bytes);

/* Remove an expired item. */
void store_expire(struct store *store, const struct slot *slot, uint64_t hash, struct item *item);

static inline uint64_t store_hash(const struct store *store, const uint8_t *key, uint32_t key_bytes)
{
    return hash_key(store->table.seed, key, key_bytes);
}

static inline bool store_is_over(const struct store *store, const struct item *item)
{
    return item->expires_s != 0 && item->expires_s <= store->now_s;
}

/* Return the live item of this key, or NULL. Finding it counts as a use. */
static inline struct item *store_get(struct store *store, uint64_t hash, const uint8_t *key,
                                     uint32_t key_bytes)
{
    struct slot slot;
    struct item *item = table_find(&store->table, hash, key, key_bytes, &slot);
    if (item == NULL)
        return NULL;
    if (__builtin_expect(store_is_over(store, item), 0)) {
        store_expire(store, &slot, hash, item);
        return NULL;
    }
    slot_refer(&slot);
    return item;
}

#endif
