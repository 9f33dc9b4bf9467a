/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The index: from a key's hash to the item's place in the log.
 *
 * A bucket is one cache line: 12 one-byte tags, reference bits and an overflow count, which are
 * compared at once as one vector, and 12 offsets in units of 8 bytes. A key has two buckets. It is
 * in the second only when the first was full, and the first counts how many of its keys are, so
 * that a miss usually ends after one line. When both are full, one of the 24 entries moves to its
 * own other bucket. When none can move, which is rare below nine tenths full, the caller evicts
 * one. The number of buckets need not be a power of two: a multiplication scales the hash to it.
 */
#ifndef NEARMETAL_TABLE_H
#define NEARMETAL_TABLE_H

#include "hash.h"
#include "item.h"

#define BUCKET_SLOTS 12u
#define BUCKET_SLOTS_MASK 0xfffu

struct bucket {
    uint8_t tags[BUCKET_SLOTS]; /* 0: free */
    uint16_t referenced;        /* one bit a slot: used since the clock passed */
    uint16_t nb_overflown;      /* keys of this bucket that are in their second one */
    uint32_t offsets[BUCKET_SLOTS];
};
_Static_assert(sizeof(struct bucket) == 64, "a bucket is one cache line");

struct table {
    struct bucket *buckets;
    uint8_t *items; /* address of offset 0 */
    uint32_t nb_buckets;
    struct hash_seed seed;
};

/* The place of an entry in the index. */
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

/* Return the second bucket, never equal to the first: there are at least two buckets. */
static inline struct bucket *table_second(const struct table *table, uint64_t hash)
{
    struct bucket *first = table_first(table, hash);
    struct bucket *second = &table->buckets[(uint64_t)(uint32_t)hash * table->nb_buckets >> 32];
    if (second != first)
        return second;
    return first == table->buckets ? first + 1 : first - 1;
}

/* Return one bit for each slot with this tag; tag 0 finds the free slots. */
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

/* Return the item with this key and set its slot; NULL: not found. */
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

/* Set the reference bit, if it is clear: a line that is not written need not be written back. */
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

/* Find the slot of an item at the log's tail. Returns false if the index does not hold it. */
bool table_find_item(const struct table *table, uint64_t hash, const struct item *item,
                     struct slot *slot);

/* Find a free slot for a new entry of this hash, moving another entry if need be. Returns false
 * when both buckets are full and none of their entries can move. */
bool table_free_slot(const struct table *table, uint64_t hash, struct slot *slot);

/* Choose the entry to evict from two full buckets: one without a reference bit. If all have one,
 * clear them all and choose any. */
void table_victim(const struct table *table, uint64_t hash, struct slot *slot);

/* Fill a free slot, unreferenced: an item that is never read again leaves at the first pass. */
void table_put(const struct table *table, const struct slot *slot, uint64_t hash,
               const struct item *item);

/* Empty a slot; hash is that of its entry. */
void table_remove(const struct table *table, const struct slot *slot, uint64_t hash);

#endif
