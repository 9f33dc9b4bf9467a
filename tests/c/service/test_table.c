/* SPDX-License-Identifier: BSD-3-Clause */
/* The index: finds every entry in either bucket; displaces before it refuses; counts overflows. */
#include <string.h>

#include "../check.h"
#include "table.h"

enum { NB_BUCKETS = 50, NB_ITEMS = NB_BUCKETS * BUCKET_SLOTS, ITEM_STRIDE = 32 };

static uint8_t items[NB_ITEMS * ITEM_STRIDE];
static _Alignas(64) struct bucket buckets[NB_BUCKETS];
static struct table table = {
    .buckets = buckets, .items = items, .nb_buckets = NB_BUCKETS, .seed = {{3, 4}}};

static struct item *make_item(uint32_t number)
{
    struct item *item = (struct item *)(void *)(items + number * ITEM_STRIDE);
    item->word = item_word(8, 0, number);
    memcpy(item->bytes, &(uint64_t){number}, 8);
    return item;
}

static struct item *find(uint32_t number, struct slot *slot)
{
    struct item *item = make_item(number);
    return table_find(&table, table_hash_of(&table, item), item->bytes, 8, slot);
}

/* Check that each bucket's overflow count is the number of its keys in their second bucket. */
static void check_overflow_counts(uint32_t nb_items)
{
    uint32_t expected[NB_BUCKETS] = {0};
    for (uint32_t i = 0; i < nb_items; i++) {
        struct slot slot;
        if (find(i, &slot) != NULL && slot.second)
            expected[table_first(&table, table_hash_of(&table, make_item(i))) - buckets]++;
    }
    for (uint32_t i = 0; i < NB_BUCKETS; i++)
        CHECK(buckets[i].nb_overflown == expected[i]);
}

/* Put items until one finds no slot; return how many were put. */
static uint32_t fill(void)
{
    struct slot slot;
    for (uint32_t i = 0; i < NB_ITEMS; i++) {
        uint64_t hash = table_hash_of(&table, make_item(i));
        if (!table_free_slot(&table, hash, &slot))
            return i;
        table_put(&table, &slot, hash, make_item(i));
    }
    return NB_ITEMS;
}

int main(void)
{
    struct slot slot;
    uint32_t nb = fill();
    CHECK(nb > NB_ITEMS * 85 / 100); /* displacement fills more than first fit */
    for (uint32_t i = 0; i < nb; i++) {
        CHECK(find(i, &slot) == make_item(i));
        struct slot by_place;
        CHECK(
            table_find_item(&table, table_hash_of(&table, make_item(i)), make_item(i), &by_place));
        CHECK(by_place.bucket == slot.bucket && by_place.index == slot.index);
    }
    CHECK(find(nb, &slot) == NULL);
    check_overflow_counts(nb);

    /* A referenced entry is evicted only if all are referenced; then all lose their mark. */
    uint64_t hash = table_hash_of(&table, make_item(nb));
    struct bucket *first = table_first(&table, hash), *second = table_second(&table, hash);
    CHECK(first != second);
    first->referenced = BUCKET_SLOTS_MASK;
    second->referenced = BUCKET_SLOTS_MASK & ~(1u << 5);
    table_victim(&table, hash, &slot);
    CHECK(slot.bucket == second && slot.index == 5);
    second->referenced = BUCKET_SLOTS_MASK;
    table_victim(&table, hash, &slot);
    CHECK(first->referenced == 0 && second->referenced == 0 && slot.index < BUCKET_SLOTS);

    for (uint32_t i = 0; i < nb; i += 2) {
        CHECK(find(i, &slot) != NULL);
        table_remove(&table, &slot, table_hash_of(&table, make_item(i)));
    }
    for (uint32_t i = 0; i < nb; i++)
        CHECK((find(i, &slot) != NULL) == (i % 2 == 1));
    check_overflow_counts(nb);
    return 0;
}
