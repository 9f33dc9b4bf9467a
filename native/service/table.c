/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes to the index; see table.h. */
#include "table.h"

bool table_find_item(const struct table *table, uint64_t hash, const struct item *item,
                     struct slot *slot)
{
    uint32_t offset = table_offset(table, item);
    for (int second = 0; second < 2; second++) {
        slot->second = second;
        slot->bucket = second ? table_second(table, hash) : table_first(table, hash);
        uint32_t match = bucket_match(slot->bucket, table_tag(hash));
        for (; match != 0; match &= match - 1) {
            slot->index = (uint32_t)__builtin_ctz(match);
            if (slot->bucket->offsets[slot->index] == offset)
                return true;
        }
    }
    return false;
}

static bool free_slot_in(struct bucket *bucket, struct slot *slot)
{
    uint32_t match = bucket_match(bucket, 0);
    if (match == 0)
        return false;
    slot->bucket = bucket;
    slot->index = (uint32_t)__builtin_ctz(match);
    return true;
}

/* Move one entry of a full bucket to its other bucket; *freed is its old slot. */
static bool displace(const struct table *table, struct bucket *bucket, struct slot *freed)
{
    for (uint32_t i = 0; i < BUCKET_SLOTS; i++) {
        const struct item *item = table_item(table, bucket->offsets[i]);
        uint64_t hash = table_hash_of(table, item);
        bool was_second = table_first(table, hash) != bucket;
        struct slot from = {.bucket = bucket, .index = i, .second = was_second}, to;
        to.second = !was_second;
        if (!free_slot_in(was_second ? table_first(table, hash) : table_second(table, hash), &to))
            continue;
        bool is_referenced = slot_is_referenced(&from);
        table_remove(table, &from, hash);
        table_put(table, &to, hash, item);
        if (is_referenced)
            slot_refer(&to);
        *freed = from;
        return true;
    }
    return false;
}

bool table_free_slot(const struct table *table, uint64_t hash, struct slot *slot)
{
    struct bucket *first = table_first(table, hash), *second = table_second(table, hash);
    bool found = free_slot_in(first, slot) || free_slot_in(second, slot) ||
                 displace(table, first, slot) || displace(table, second, slot);
    slot->second = found && slot->bucket != first;
    return found;
}

void table_victim(const struct table *table, uint64_t hash, struct slot *slot)
{
    for (int second = 0; second < 2; second++) {
        slot->second = second;
        slot->bucket = second ? table_second(table, hash) : table_first(table, hash);
        uint32_t idle = ~(uint32_t)slot->bucket->referenced & BUCKET_SLOTS_MASK;
        if (idle != 0) {
            slot->index = (uint32_t)__builtin_ctz(idle);
            return;
        }
    }
    slot->bucket->referenced = 0;
    slot->bucket = table_first(table, hash);
    slot->bucket->referenced = 0;
    slot->second = false;
    slot->index = (uint32_t)(hash >> 8) % BUCKET_SLOTS;
}

void table_put(const struct table *table, const struct slot *slot, uint64_t hash,
               const struct item *item)
{
    slot->bucket->tags[slot->index] = table_tag(hash);
    slot->bucket->offsets[slot->index] = table_offset(table, item);
    slot_unrefer(slot);
    if (slot->second)
        table_first(table, hash)->nb_overflown++;
}

void table_remove(const struct table *table, const struct slot *slot, uint64_t hash)
{
    slot->bucket->tags[slot->index] = 0;
    slot_unrefer(slot);
    if (slot->second)
        table_first(table, hash)->nb_overflown--;
}
