/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nm-mem-split: the store's cycles, stage by stage.
 *
 *     nm-mem-split [KEYS [uniform]]        default: 1,000,000 keys, Zipf 0.99
 *
 * Does the work of kv.c in finer passes over each burst of 64, and times each pass: parse, hash,
 * look-up (bucket, then item, both prefetched a pass ahead), reply. Admission and counters are not
 * included: nm-mem-kv measures the whole. GETs only: a SET is a look-up and a copy.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "clock.h"
#include "fast.h"
#include "mem.h"
#include "store.h"
#include "workload.h"

enum { BURST = 64, KEY_BYTES = 16, VALUE_BYTES = 32, NB_REQUESTS = 4000000, ROOM_BYTES = 1472 };

struct split {
    struct store store;
    struct format format;
    struct mem_stream stream;
    uint64_t parse, hash, lookup, reply; /* cycles */
    uint64_t nb_hits, reply_bytes;
};

static void *take_memory(uint64_t nb_bytes)
{
    void *memory = mmap(NULL, nb_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        abort();
    (void)madvise(memory, nb_bytes, MADV_HUGEPAGE);
    return memory;
}

static void preload(struct split *split, uint32_t nb_keys)
{
    uint8_t data[256];
    for (uint32_t number = 0; number < nb_keys; number++) {
        uint32_t len = format_request(&split->format, data, 0, OP_SET, number, 1);
        struct content content = {.value = data + len - 2 - VALUE_BYTES,
                                  .value_bytes = VALUE_BYTES};
        const uint8_t *key = data + FRAME_BYTES + 4;
        store_put(&split->store, store_hash(&split->store, key, KEY_BYTES), key, KEY_BYTES,
                  &content);
    }
}

static void look_up(struct split *split, const struct fast *fast, const uint64_t *hashes,
                    struct item **items, unsigned nb)
{
    const struct table *table = &split->store.table;
    for (unsigned i = 0; i < nb; i++)
        __builtin_prefetch(table_first(table, hashes[i]));
    for (unsigned i = 0; i < nb; i++) {
        const struct bucket *bucket = table_first(table, hashes[i]);
        uint32_t match = bucket_match(bucket, table_tag(hashes[i]));
        for (; match != 0; match &= match - 1)
            __builtin_prefetch(table_item(table, bucket->offsets[__builtin_ctz(match)]));
    }
    for (unsigned i = 0; i < nb; i++)
        items[i] = store_get(&split->store, hashes[i], fast[i].key, fast[i].key_bytes);
}

/* Run one burst; returns the offset of the next. */
static uint64_t run_burst(struct split *split, uint64_t at)
{
    static uint8_t rooms[BURST][ROOM_BYTES];
    const uint8_t *data[BURST];
    uint16_t lens[BURST];
    struct fast fast[BURST];
    uint64_t hashes[BURST];
    struct item *items[BURST];
    unsigned nb = 0;
    for (; nb < BURST && at < split->stream.size_bytes; nb++) {
        memcpy(&lens[nb], split->stream.bytes + at, 2);
        data[nb] = split->stream.bytes + at + 2;
        __builtin_prefetch(data[nb] + 4096);
        at += 2u + lens[nb];
    }
    uint64_t t0 = clock_cycles();
    for (unsigned i = 0; i < nb; i++) {
        if (fast_parse(data[i], lens[i], &fast[i]) != FAST_GET)
            abort();
    }
    uint64_t t1 = clock_cycles();
    for (unsigned i = 0; i < nb; i++)
        hashes[i] = store_hash(&split->store, fast[i].key, fast[i].key_bytes);
    uint64_t t2 = clock_cycles();
    look_up(split, fast, hashes, items, nb);
    uint64_t t3 = clock_cycles();
    for (unsigned i = 0; i < nb; i++) {
        if (items[i] != NULL)
            split->reply_bytes += reply_write_item(rooms[i], load16(data[i]), items[i], false);
        split->nb_hits += items[i] != NULL;
    }
    uint64_t t4 = clock_cycles();
    split->parse += t1 - t0;
    split->hash += t2 - t1;
    split->lookup += t3 - t2;
    split->reply += t4 - t3;
    return at;
}

int main(int argc, char **argv)
{
    static struct split split;
    static struct workload workload;
    uint32_t nb_keys = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 1000000;
    bool uniform = argc > 2 && strcmp(argv[2], "uniform") == 0;
    struct workload_config config = {.nb_keys = nb_keys, .zipf = uniform ? 0 : 0.99, .seed = 1};
    uint64_t memory_bytes = (1u << 20) + 144ull * nb_keys;
    const uint8_t seed[16] = {7, 1};
    if (nb_keys == 0 || nb_keys > WORKLOAD_KEYS_MAX ||
        !format_init(&split.format, KEY_BYTES, VALUE_BYTES) ||
        store_open(&split.store, take_memory(memory_bytes), memory_bytes, seed, 0) != NULL)
        return 2;
    preload(&split, nb_keys);
    split.stream.format = &split.format;
    split.stream.bytes = take_memory((uint64_t)NB_REQUESTS * (split.format.get_bytes + 2) + 8192);
    workload_init(&workload, &config);
    mem_render(&split.stream, NB_REQUESTS, &workload);
    for (uint64_t at = 0; at < split.stream.size_bytes;)
        at = run_burst(&split, at);
    printf("{\"event\":\"split\",\"keys\":%u,\"requests\":%u,\"hits\":%llu,\"reply_bytes\":%llu,"
           "\"parse_cycles\":%.1f,\"hash_cycles\":%.1f,\"look_up_cycles\":%.1f,"
           "\"reply_cycles\":%.1f}\n",
           nb_keys, NB_REQUESTS, (unsigned long long)split.nb_hits,
           (unsigned long long)split.reply_bytes, (double)split.parse / NB_REQUESTS,
           (double)split.hash / NB_REQUESTS, (double)split.lookup / NB_REQUESTS,
           (double)split.reply / NB_REQUESTS);
    return split.nb_hits == NB_REQUESTS ? 0 : 1;
}
