/* SPDX-License-Identifier: BSD-3-Clause */
/* The store over time and under pressure: expiry, flush_all, cas, eviction, changing sizes. */
#include <string.h>

#include "bed.h"
#include "kv_row.h"
#include "../check.h"
#include "random.h"
#include "store.h"

#define S 1000000000ull
#define HIT "VALUE k 0 1\r\nv\r\nEND\r\n"
#define MISS "END\r\n"

static void at(struct bed *bed, double seconds)
{
    bed->now_ns = BED_START_NS + (uint64_t)(seconds * 1e9);
}

static void expiry(struct bed *bed)
{
    at(bed, 0);
    bed_expect(bed, "set k 0 10 1\r\nv\r\n", "STORED\r\n");
    at(bed, 9.9);
    bed_expect(bed, "get k\r\n", HIT);
    at(bed, 10);
    bed_expect(bed, "get k\r\nadd k 0 -1 1\r\nv\r\nget k\r\n", "END\r\nSTORED\r\nEND\r\n");
    bed_expect(bed, "set k 0 2592000 1\r\nv\r\nget k\r\n", "STORED\r\n" HIT);
    /* Above 30 days: Unix time. The bed starts at 1,700,000,000. */
    bed_expect(bed, "set k 0 2592001 1\r\nv\r\nget k\r\n", "STORED\r\n" MISS);
    bed_expect(bed, "set k 0 1700000020 1\r\nv\r\nget k\r\n", "STORED\r\n" HIT);
    at(bed, 19.9);
    bed_expect(bed, "get k\r\n", HIT);
    at(bed, 20);
    bed_expect(bed, "get k\r\n", MISS);
    bed_expect(bed, "set k 0 5 1\r\nv\r\ntouch k 100\r\n", "STORED\r\nTOUCHED\r\n");
    at(bed, 119.9);
    bed_expect(bed, "gat 10 k\r\n", HIT);
    at(bed, 128.9);
    bed_expect(bed, "get k\r\ngat -1 k\r\nget k\r\ndelete k\r\n", HIT HIT "END\r\nNOT_FOUND\r\n");
    bed_expect(bed, "set k 0 -1 1\r\nv\r\ndelete k\r\n", "STORED\r\nNOT_FOUND\r\n");
    struct service_counters counters;
    service_counters(bed->service, &counters);
    CHECK(counters.values[COUNTER_ITEMS] == 0 && counters.values[COUNTER_LIVE_BYTES] == 0 &&
          counters.values[COUNTER_EXPIRED] >= 5);
}

/* An item expires at its Unix time, for any fraction of a second at which the store was opened. */
static void unix_times(void)
{
    static const double starts[] = {0, 0.001, 0.5, 0.999};

    for (unsigned i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        struct store store;
        static _Alignas(64) uint8_t memory[STORE_BYTES_MIN];
        const uint8_t seed[16] = {0};
        uint64_t start_ns = BED_START_NS + (uint64_t)(starts[i] * 1e9);

        memset(memory, 0, sizeof(memory));
        CHECK(store_open(&store, memory, sizeof(memory), seed, start_ns) == NULL);
        uint32_t past = store_expires_s(&store, 1700000000),
                 soon = store_expires_s(&store, 1700000002);
        CHECK(past <= store.now_s && soon > store.now_s);
        store_set_time(&store, BED_START_NS + 2 * S - 1);
        CHECK(soon > store.now_s);
        store_set_time(&store, BED_START_NS + 2 * S);
        CHECK(soon <= store.now_s);
        store_set_time(&store, BED_START_NS - S); /* the time never goes back before the start */
        CHECK(store.now_s == STORE_START_S);
    }
}

static void flushing(struct bed *bed)
{
    at(bed, 200);
    bed_expect(bed, "set k 0 0 1\r\nv\r\nflush_all\r\nget k\r\n", "STORED\r\nOK\r\nEND\r\n");
    bed_expect(bed, "set k 0 0 1\r\nv\r\nflush_all 10\r\nget k\r\n", "STORED\r\nOK\r\n" HIT);
    at(bed, 209);
    bed_expect(bed, "set l 0 0 1\r\nv\r\nget k\r\n", "STORED\r\n" HIT);
    at(bed, 210);
    bed_expect(bed, "get k l\r\nset k 0 0 1\r\nv\r\n", "END\r\nSTORED\r\n");
    at(bed, 300);
    bed_expect(bed, "get k\r\n", HIT);
    bed_expect(bed, "flush_all 5\r\nflush_all 50\r\n", "OK\r\nOK\r\n"); /* the later one counts */
    at(bed, 320);
    bed_expect(bed, "get k\r\n", HIT);
    at(bed, 350);
    bed_expect(bed, "get k\r\n", MISS);
}

/* Return the cas id that gets shows; 0: a miss. */
static unsigned long cas_of(struct bed *bed)
{
    unsigned long cas = 0;
    bed_ask_bytes(bed, "gets k\r\n", 8);
    bed->message[bed->message_bytes] = 0;
    sscanf((char *)bed->message, "VALUE k 0 %*u %lu", &cas);
    return cas;
}

static void cas_ids(struct bed *bed)
{
    char ask[64];
    bed_expect(bed, "set k 0 0 1\r\nv\r\n", "STORED\r\n");
    unsigned long first = cas_of(bed);
    CHECK(first != 0 && cas_of(bed) == first);
    snprintf(ask, sizeof(ask), "cas k 0 0 1 %lu\r\nw\r\n", first);
    bed_expect(bed, ask, "STORED\r\n");
    bed_expect(bed, ask, "EXISTS\r\n");
    unsigned long second = cas_of(bed);
    CHECK(second != first);
    bed_expect(bed, "touch k 0\r\n", "TOUCHED\r\n");
    CHECK(cas_of(bed) == second);
    bed_expect(bed, "append k 0 0 1\r\nx\r\n", "STORED\r\n");
    CHECK(cas_of(bed) != second);
    bed_expect(bed, "delete k\r\n", "DELETED\r\n");
    bed_expect(bed, ask, "NOT_FOUND\r\n");
}

/*
 * Random sizes into 1 MiB, overwritten and deleted: every set is stored, a read returns the last
 * value written or a miss, and the counts match the content.
 */
static void pressure(struct bed *bed)
{
    enum { NB_KEYS = 3000, NB_STEPS = 60000, VALUE_MAX = 3000 };
    static struct {
        uint32_t nb_bytes;
        char fill;
        bool stored;
    } last[NB_KEYS];
    static char ask[VALUE_MAX + 100];
    struct random random = {2};
    uint64_t nb_found = 0, live_bytes = 0, live_now = 0;
    struct service_counters before, counters;
    service_counters(bed->service, &before);
    memset(last, 0, sizeof(last));
    for (unsigned i = 0; i < NB_STEPS; i++) {
        uint64_t draw = random_next(&random);
        unsigned key = (unsigned)(draw >> 32) % NB_KEYS;
        uint32_t nb = (uint32_t)draw % (draw >> 20 & 3 ? 200 : VALUE_MAX);
        if (draw >> 60 == 0) {
            snprintf(ask, sizeof(ask), "delete %u noreply\r\n", key);
            bed_ask_bytes(bed, ask, (uint32_t)strlen(ask));
            last[key].stored = false;
            continue;
        }
        int head = snprintf(ask, sizeof(ask), "set %u 0 0 %u\r\n", key, nb);
        last[key].nb_bytes = nb;
        last[key].fill = (char)('a' + i % 26);
        last[key].stored = true;
        memset(ask + head, last[key].fill, nb);
        memcpy(ask + head + nb, "\r\n", 2);
        bed_ask_bytes(bed, ask, (uint32_t)head + nb + 2);
        CHECK(memcmp(bed->message, "STORED\r\n", 8) == 0);
    }
    for (unsigned key = 0; key < NB_KEYS; key++) {
        char head[32], text[16];
        snprintf(ask, sizeof(ask), "get %u\r\n", key);
        bed_ask_bytes(bed, ask, (uint32_t)strlen(ask));
        if (bed->message_bytes == 5)
            continue;
        CHECK(last[key].stored);
        int nb = snprintf(head, sizeof(head), "VALUE %u 0 %u\r\n", key, last[key].nb_bytes);
        CHECK(bed->message_bytes == (uint32_t)nb + last[key].nb_bytes + 7);
        CHECK(memcmp(bed->message, head, (size_t)nb) == 0);
        for (uint32_t i = 0; i < last[key].nb_bytes; i++)
            CHECK(bed->message[(uint32_t)nb + i] == (uint8_t)last[key].fill);
        nb_found++;
        live_bytes += (uint64_t)snprintf(text, sizeof(text), "%u", key) + last[key].nb_bytes;
    }
    service_counters(bed->service, &counters);
    live_now = counters.values[COUNTER_LIVE_BYTES];
    CHECK(counters.values[COUNTER_ITEMS] == nb_found && live_now == live_bytes);
    CHECK(counters.values[COUNTER_EVICTED] > before.values[COUNTER_EVICTED]);
    CHECK(counters.values[COUNTER_EXPIRED] == before.values[COUNTER_EXPIRED]);
}

/* Many times round the log: an item that is read in between is kept, one that is not is evicted. */
static void use_protects(struct bed *bed)
{
    char ask[700];
    bed_expect(bed, "set k 0 0 1\r\nv\r\nset unread 0 0 1\r\nv\r\n", "STORED\r\nSTORED\r\n");
    for (unsigned i = 0; i < 10000; i++) {
        snprintf(ask, sizeof(ask), "set cold-%u 0 0 500\r\n%0500u\r\n", i, i);
        bed_expect(bed, ask, "STORED\r\n");
        if (i % 10 == 0)
            bed_expect(bed, "get k\r\n", HIT);
    }
    bed_expect(bed, "get unread\r\n", MISS);
}

/* The largest values, many times round the log: appends that join, sets that replace. */
static void largest(struct bed *bed)
{
    enum { VALUE = 65400 };
    static char ask[VALUE + 100];
    for (unsigned i = 0; i < 200; i++) {
        uint32_t nb = VALUE - i % 7 * 1000;
        int head = snprintf(ask, sizeof(ask), "set %u 0 0 %u\r\n", i % 30, nb);
        memset(ask + head, 'x', nb);
        memcpy(ask + head + nb, "\r\n", 2);
        bed_ask_bytes(bed, ask, (uint32_t)head + nb + 2);
        CHECK(memcmp(bed->message, "STORED\r\n", 8) == 0);
        snprintf(ask, sizeof(ask), "append %u 0 0 200\r\n%0200u\r\n", i % 30, 7);
        bed_expect(bed, ask, nb + 200 <= 65535 ? "STORED\r\n" : "NOT_STORED\r\n");
    }
}

int main(void)
{
    struct bed *bed = calloc(1, sizeof(*bed));
    CHECK(bed != NULL);
    bed_open(bed, 1 << 20);
    unix_times();
    expiry(bed);
    flushing(bed);
    cas_ids(bed);
    bed_expect(bed, "flush_all\r\n", "OK\r\n");
    use_protects(bed);
    bed_expect(bed, "flush_all\r\n", "OK\r\n");
    pressure(bed);
    largest(bed);
    bed_close(bed);
    free(bed);
    return 0;
}
