/* SPDX-License-Identifier: BSD-3-Clause */
/* The store: store, delete, expire, evict; see store.h. */
#include "store.h"

#define INDEX_SHARE 10u    /* one part in so many of the memory is the index */
#define DEAD_SHARE_MAX 12u /* more dead than one part in so many of the log: renew live items */
#define RENEW_FACTOR 16u   /* most bytes appended again per byte needed */
#define RENEW_BYTES_MIN 1024u
#define LOG_BYTES_MAX ((uint64_t)ITEM_UNIT_BYTES << 32) /* the reach of a 32-bit offset */
#define NS_PER_S 1000000000u

static uint64_t cut_to_lines(uint64_t nb_bytes)
{
    return nb_bytes & ~(uint64_t)63;
}

const char *store_open(struct store *store, void *memory, uint64_t memory_bytes,
                       const uint8_t seed[16], uint64_t now_ns)
{
    uint64_t index_bytes = cut_to_lines(memory_bytes / INDEX_SHARE);
    uint64_t joined_bytes = cut_to_lines(ITEM_VALUE_BYTES_MAX + 63);
    if (memory_bytes < STORE_BYTES_MIN)
        return "the memory is too small for the store";
    uint64_t log_bytes = cut_to_lines(memory_bytes - index_bytes - joined_bytes);
    if (log_bytes > LOG_BYTES_MAX)
        return "the memory is larger than one store can address; give it at most 35 GiB";
    uint8_t *at = memory;
    *store = (struct store){.now_s = STORE_START_S, .start_unix_s = now_ns / NS_PER_S};
    store->table.seed.word[0] = load64(seed);
    store->table.seed.word[1] = load64(seed + 8);
    store->table.buckets = (struct bucket *)(void *)at;
    store->table.nb_buckets = (uint32_t)(index_bytes / sizeof(struct bucket));
    store->joined = at + index_bytes;
    log_open(&store->log, at + index_bytes + joined_bytes, log_bytes);
    store->table.items = store->log.base;
    return NULL;
}

static void flush_now(struct store *store)
{
    memset(store->table.buckets, 0, (uint64_t)store->table.nb_buckets * sizeof(struct bucket));
    log_open(&store->log, store->log.base, store->log.size_bytes);
    store->nb_flushed += store->nb_items;
    store->nb_items = 0;
    store->live_bytes = 0;
    store->flush_at_s = 0;
}

void store_set_time(struct store *store, uint64_t now_ns)
{
    uint64_t unix_s = now_ns / NS_PER_S;
    uint64_t elapsed_s = unix_s > store->start_unix_s ? unix_s - store->start_unix_s : 0;
    store->now_s = STORE_START_S + (uint32_t)elapsed_s;
    if (store->flush_at_s != 0 && store->flush_at_s <= store->now_s)
        flush_now(store);
}

uint32_t store_expires_s(const struct store *store, int32_t exptime)
{
    if (exptime == 0)
        return 0;
    if (exptime < 0)
        return STORE_START_S - 1;
    if (exptime <= STORE_RELATIVE_S_MAX)
        return store->now_s + (uint32_t)exptime;
    if ((uint64_t)exptime <= store->start_unix_s)
        return STORE_START_S - 1;
    return STORE_START_S + (uint32_t)((uint64_t)exptime - store->start_unix_s);
}

void store_flush(struct store *store, uint32_t at_s)
{
    if (at_s <= store->now_s)
        flush_now(store);
    else
        store->flush_at_s = at_s;
}

/* Remove an item from the index; its bytes stay in the log. */
static void forget(struct store *store, const struct slot *slot, uint64_t hash,
                   const struct item *item)
{
    table_remove(&store->table, slot, hash);
    store->nb_items--;
    store->live_bytes -= item_key_bytes(item) + item_value_bytes(item);
}

static void discard(struct store *store, const struct slot *slot, uint64_t hash, struct item *item)
{
    forget(store, slot, hash, item);
    log_kill(&store->log, item);
}

void store_expire(struct store *store, const struct slot *slot, uint64_t hash, struct item *item)
{
    discard(store, slot, hash, item);
    store->nb_expired++;
}

/* Handle the oldest item. Returns the bytes that were appended again. */
static uint32_t step_tail(struct store *store, struct item *item, bool may_renew)
{
    struct slot slot;
    if (item_is_dead(item)) {
        log_drop_oldest(&store->log);
        return 0;
    }
    uint64_t hash = table_hash_of(&store->table, item);
    bool found = table_find_item(&store->table, hash, item, &slot);
    if (!found)
        __builtin_trap(); /* index and log disagree: going on would give wrong answers */
    bool over = store_is_over(store, item);
    bool keep =
        slot_is_referenced(&slot) || store->log.dead_bytes > store->log.size_bytes / DEAD_SHARE_MAX;
    if (may_renew && keep && !over) {
        uint32_t nb_bytes = item_bytes(item);
        slot_unrefer(&slot);
        item = log_renew_oldest(&store->log);
        slot.bucket->offsets[slot.index] = table_offset(&store->table, item);
        return nb_bytes;
    }
    forget(store, &slot, hash, item);
    store->nb_expired += over;
    store->nb_evicted += !over;
    log_drop_oldest(&store->log);
    return 0;
}

/* Make room at the head. The loop ends: once the allowance is used up, every step frees bytes. */
static struct item *make_room(struct store *store, uint32_t nb_bytes)
{
    uint64_t allowance = (uint64_t)RENEW_FACTOR * nb_bytes + RENEW_BYTES_MIN, renewed = 0;
    struct item *item;
    while ((item = log_append(&store->log, nb_bytes)) == NULL)
        renewed += step_tail(store, log_oldest(&store->log), renewed < allowance);
    return item;
}

/* Evict an entry: both buckets of a new key are full, and none of their entries can move. */
static void evict_from_bucket(struct store *store, uint64_t hash, struct slot *slot)
{
    table_victim(&store->table, hash, slot);
    struct item *victim = table_item(&store->table, slot->bucket->offsets[slot->index]);
    struct slot of_victim = *slot;
    uint64_t victim_hash = table_hash_of(&store->table, victim);
    of_victim.second = table_first(&store->table, victim_hash) != slot->bucket;
    discard(store, &of_victim, victim_hash, victim);
    store->nb_evicted++;
}

static void write_item(struct store *store, struct item *item, const uint8_t *key,
                       uint32_t key_bytes, const struct content *content)
{
    store->next_cas++;
    item->word = item_word(key_bytes, content->value_bytes, store->next_cas);
    item->flags = content->flags;
    item->expires_s = content->expires_s;
    copy_bytes(item->bytes, key, key_bytes);
    copy_bytes(item->bytes + key_bytes, content->value, content->value_bytes);
}

void store_put(struct store *store, uint64_t hash, const uint8_t *key, uint32_t key_bytes,
               const struct content *content)
{
    struct slot slot;
    uint32_t nb_bytes = item_size_bytes(key_bytes, content->value_bytes);
    struct item *item = table_find(&store->table, hash, key, key_bytes, &slot);
    store->nb_stored++;
    if (item != NULL && item_bytes(item) == nb_bytes) {
        /* Overwritten in place: counts as a use, as an append would have made it the newest. */
        store->live_bytes += content->value_bytes;
        store->live_bytes -= item_value_bytes(item);
        slot_refer(&slot);
        write_item(store, item, key, key_bytes, content);
        return;
    }
    if (item != NULL)
        discard(store, &slot, hash, item);
    item = make_room(store, nb_bytes);
    if (!table_free_slot(&store->table, hash, &slot))
        evict_from_bucket(store, hash, &slot);
    write_item(store, item, key, key_bytes, content);
    table_put(&store->table, &slot, hash, item);
    store->nb_items++;
    store->live_bytes += key_bytes + content->value_bytes;
}

bool store_delete(struct store *store, uint64_t hash, const uint8_t *key, uint32_t key_bytes)
{
    struct slot slot;
    struct item *item = table_find(&store->table, hash, key, key_bytes, &slot);
    if (item == NULL)
        return false;
    bool over = store_is_over(store, item);
    discard(store, &slot, hash, item);
    store->nb_expired += over;
    return !over;
}
