/* SPDX-License-Identifier: BSD-3-Clause */
/* The index: what changes it; see table.h. */
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

bool table_free_slot(const struct table *table, uint64_t hash, struct slot *slot)
{
    for (int second = 0; second < 2; second++) {
        slot->second = second;
        slot->bucket = second ? table_second(table, hash) : table_first(table, hash);
        uint32_t match = bucket_match(slot->bucket, 0);
        if (match != 0) {
            slot->index = (uint32_t)__builtin_ctz(match);
            return true;
        }
    }
    return false;
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
