/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The index: from a key's hash to the item's place in the log.
 *
 * Buckets of one cache line: 12 one-byte tags, reference bits and an overflow count, compared
 * at once as one vector, and 12 offsets in units of 8 bytes. A key has two buckets; it lives in
 * the second only when the first was full, and the first counts how many of its keys do, so that
 * a miss usually ends after one line. When both are full, one of the 24 entries moves to its own
 * other bucket; when none can, which is rare below nine tenths full, the caller evicts one of them.
 * The number of buckets is any number, not a power of two: the hash is scaled to it by a
 * multiplication.
 */
#ifndef NEARMETAL_TABLE_H
#define NEARMETAL_TABLE_H

#include "hash.h"
#include "item.h"

#define BUCKET_SLOTS 12u
#define BUCKET_SLOTS_MASK 0xfffu

struct bucket {
    uint8_t tags[BUCKET_SLOTS]; /* 0: free */
    uint16_t referenced;        /* one bit a slot: read or overwritten since the clock passed */
    uint16_t nb_overflown;      /* keys of this bucket that live in their second one */
    uint32_t offsets[BUCKET_SLOTS];
};
_Static_assert(sizeof(struct bucket) == 64, "a bucket is one cache line");

struct table {
    struct bucket *buckets;
    uint8_t *items; /* where offset 0 points */
    uint32_t nb_buckets;
    struct hash_seed seed;
};

/* Where an entry is. */
struct slot {
    struct bucket *bucket;
    uint32_t index;
    bool second; /* in the second bucket of its key */
};

static inline uint8_t table_tag(uint64_t hash)
{
    uint8_t tag = (uint8_t)hash;
    return tag == 0 ? 1 : tag;
}

static inline struct bucket *table_first(const struct table *table, uint64_t hash)
{
    return &table->buckets[(hash >> 32) * table->nb_buckets >> 32];
}

/* Never the same as the first: there are at least two buckets. */
static inline struct bucket *table_second(const struct table *table, uint64_t hash)
{
    struct bucket *first = table_first(table, hash);
    struct bucket *second = &table->buckets[(uint64_t)(uint32_t)hash * table->nb_buckets >> 32];
    if (second != first)
        return second;
    return first == table->buckets ? first + 1 : first - 1;
}

/* One bit for each slot whose tag is this one; 0 finds the free ones. */
static inline uint32_t bucket_match(const struct bucket *bucket, uint8_t tag)
{
    vec16 head = load_vec(bucket->tags);
    return vec_mask((vec16)(head == tag)) & BUCKET_SLOTS_MASK;
}

static inline struct item *table_item(const struct table *table, uint32_t offset)
{
    return (struct item *)(void *)(table->items + (uint64_t)offset * ITEM_UNIT_BYTES);
}

static inline uint32_t table_offset(const struct table *table, const struct item *item)
{
    return (uint32_t)((uint64_t)((const uint8_t *)item - table->items) / ITEM_UNIT_BYTES);
}

static inline uint64_t table_hash_of(const struct table *table, const struct item *item)
{
    return hash_key(table->seed, item->bytes, item_key_bytes(item));
}

static inline struct item *bucket_find(const struct table *table, const struct bucket *bucket,
                                       uint64_t hash, const uint8_t *key, uint32_t key_bytes,
                                       uint32_t *index)
{
    for (uint32_t match = bucket_match(bucket, table_tag(hash)); match != 0; match &= match - 1) {
        *index = (uint32_t)__builtin_ctz(match);
        struct item *item = table_item(table, bucket->offsets[*index]);
        if (__builtin_expect(
                item_key_bytes(item) == key_bytes && equal_bytes(item->bytes, key, key_bytes), 1))
            return item;
    }
    return NULL;
}

/* The item with this key, and its slot; or NULL. */
static inline struct item *table_find(const struct table *table, uint64_t hash, const uint8_t *key,
                                      uint32_t key_bytes, struct slot *slot)
{
    slot->bucket = table_first(table, hash);
    slot->second = false;
    struct item *item = bucket_find(table, slot->bucket, hash, key, key_bytes, &slot->index);
    if (item != NULL || __builtin_expect(slot->bucket->nb_overflown == 0, 1))
        return item;
    slot->bucket = table_second(table, hash);
    slot->second = true;
    return bucket_find(table, slot->bucket, hash, key, key_bytes, &slot->index);
}

/* Writes only when something changes: a clean line need not travel back to memory. */
static inline void slot_refer(const struct slot *slot)
{
    uint16_t bit = (uint16_t)(1u << slot->index);
    if ((slot->bucket->referenced & bit) == 0)
        slot->bucket->referenced |= bit;
}

static inline bool slot_is_referenced(const struct slot *slot)
{
    return slot->bucket->referenced >> slot->index & 1;
}

static inline void slot_unrefer(const struct slot *slot)
{
    slot->bucket->referenced &= (uint16_t)~(1u << slot->index);
}

/* The slot of an item whose place is known: the log's tail asks. False: the index does not hold it.
 */
bool table_find_item(const struct table *table, uint64_t hash, const struct item *item,
                     struct slot *slot);

/* Room for one more entry of this hash, made by moving another if need be; false when both buckets
 * are full and none of their entries can move. */
bool table_free_slot(const struct table *table, uint64_t hash, struct slot *slot);

/* Whom to evict when they are: an entry without reference; when all have one, they lose it. */
void table_victim(const struct table *table, uint64_t hash, struct slot *slot);

/* Fill a free slot: unreferenced, so that an item nobody asks for leaves at the first pass. */
void table_put(const struct table *table, const struct slot *slot, uint64_t hash,
               const struct item *item);

/* Empty a slot; hash is that of its entry. */
void table_remove(const struct table *table, const struct slot *slot, uint64_t hash);

#endif
