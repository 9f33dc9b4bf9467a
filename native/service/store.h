/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The store: items by key, in one block of memory that never grows.
 *
 * A tenth of the memory is the index (table.h), the rest a log of items (log.h). Nothing fails for
 * want of room: making room evicts. Policy: a clock over a circular log. At the tail a dead item is
 * skipped, an expired one dropped, a referenced one appended again without its mark, any other
 * evicted; but while much of the log is dead, live items are appended again too, because it is
 * the holes between them that should go. Work per call is bounded by the size asked for.
 *
 * Time is a counter of seconds that starts with the store and goes on when those of Unix time do;
 * an item whose expires_s is not above it is gone. Expired items are noticed when they are looked
 * up or reach the tail.
 */
#ifndef NEARMETAL_STORE_H
#define NEARMETAL_STORE_H

#include "log.h"
#include "table.h"

/* Less cannot hold the largest items and still turn over. */
#define STORE_BYTES_MIN (640u << 10)
/* The counter starts here, so that 1 is a time that is past and 0 can mean never. */
#define STORE_START_S 2u
/* From here on exptime is Unix time, as memcached has it. */
#define STORE_RELATIVE_S_MAX (30 * 24 * 60 * 60)

struct store {
    struct table table;
    struct log log;
    uint32_t now_s;
    uint32_t flush_at_s;   /* a delayed flush_all; 0: none */
    uint64_t start_unix_s; /* when the counter started */
    uint64_t next_cas;
    uint64_t nb_items, live_bytes;
    uint64_t nb_evicted, nb_expired, nb_flushed, nb_stored;
    uint8_t *joined; /* ITEM_VALUE_BYTES_MAX bytes: where append and incr compose a value */
};

/* What is stored under a key. */
struct content {
    const uint8_t *value;
    uint32_t value_bytes;
    uint32_t flags;
    uint32_t expires_s;
};

/* memory: 64-byte aligned and zeroed. NULL, or one sentence for the user. */
const char *store_open(struct store *store, void *memory, uint64_t memory_bytes,
                       const uint8_t seed[16], uint64_t now_ns);

/* The clock moves on; a flush that is due happens. */
void store_set_time(struct store *store, uint64_t now_ns);

/* The counter's value at which an exptime of the protocol is over; 0: never. */
uint32_t store_expires_s(const struct store *store, int32_t exptime);

/* Forget everything when the counter reaches at_s. */
void store_flush(struct store *store, uint32_t at_s);

/* Store; replaces what was there. content->value may be store->joined, but no item's bytes. */
void store_put(struct store *store, uint64_t hash, const uint8_t *key, uint32_t key_bytes,
               const struct content *content);

/* True: it was there. */
bool store_delete(struct store *store, uint64_t hash, const uint8_t *key, uint32_t key_bytes);

/* Forget what an expired item holds. */
void store_expire(struct store *store, const struct slot *slot, uint64_t hash, struct item *item);

static inline uint64_t store_hash(const struct store *store, const uint8_t *key, uint32_t key_bytes)
{
    return hash_key(store->table.seed, key, key_bytes);
}

static inline bool store_is_over(const struct store *store, const struct item *item)
{
    return item->expires_s != 0 && item->expires_s <= store->now_s;
}

/* The live item of this key, or NULL; being found is a use. */
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
