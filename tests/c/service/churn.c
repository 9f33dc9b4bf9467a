/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Churn: does the store hold enough, and the right items, with mixed sizes and little memory?
 *
 *     churn SETS [--overwrite]        NEARMETAL_TEST_LONG=1: 3,000,000 SETs
 *
 * 64 MiB; 200,000 keys, Zipf 0.99, each with a fixed size, log-uniform in 8..8,000 bytes. Each step
 * is a GET, and on a miss a SET, until SETS are done. Required: no SET fails; the keys and values
 * held are at least 0.75 of the memory; the hit ratio is within 3 points of an exact LRU that
 * holds as many bytes. With --overwrite every tenth step is a SET that changes the key's size
 * instead, and only the first two are required. Seeded: every run is the same.
 */
#include <math.h>
#include <string.h>

#include "bed.h"
#include "kv_row.h"
#include "../check.h"
#include "workload.h"

enum { NB_KEYS = 200000, VALUE_MIN = 8, VALUE_MAX = 8000, NONE = NB_KEYS };
#define MEMORY_BYTES (64u << 20)
#define NB_SETS_LONG 3000000u
#define SHARE_MIN 0.75
#define POINTS_MAX 0.03
#define WARM_SHARE 0.3 /* of the SETs, before hits are counted */

/* An exact LRU of the same keys: a list in an array. */
struct lru {
    uint32_t previous[NB_KEYS + 1], next[NB_KEYS + 1]; /* [NONE] is the list's head */
    bool held[NB_KEYS];
    uint64_t held_bytes;
};

static uint32_t sizes[NB_KEYS];
static struct lru lru;

static uint32_t held_bytes(uint32_t key)
{
    return 16 + sizes[key];
}

static void lru_unlink(uint32_t key)
{
    lru.next[lru.previous[key]] = lru.next[key];
    lru.previous[lru.next[key]] = lru.previous[key];
}

static void lru_push(uint32_t key)
{
    lru.next[key] = lru.next[NONE];
    lru.previous[key] = NONE;
    lru.previous[lru.next[NONE]] = key;
    lru.next[NONE] = key;
}

/* Return true for a hit. A miss stores the key, and evicts until budget_bytes is kept. */
static bool lru_access(uint32_t key, uint64_t budget_bytes)
{
    bool hit = lru.held[key];
    if (hit) {
        lru_unlink(key);
    } else {
        lru.held[key] = true;
        lru.held_bytes += held_bytes(key);
    }
    lru_push(key);
    while (lru.held_bytes > budget_bytes) {
        uint32_t oldest = lru.previous[NONE];
        lru_unlink(oldest);
        lru.held[oldest] = false;
        lru.held_bytes -= held_bytes(oldest);
    }
    return hit;
}

static void draw_size(uint32_t key, struct random *random)
{
    double share = (double)(random_next(random) >> 11) / 9007199254740992.0;
    sizes[key] = (uint32_t)(VALUE_MIN * pow((double)VALUE_MAX / VALUE_MIN, share));
}

/* Send a whole datagram to the service and return the reply's length. */
static uint32_t ask(struct bed *bed, uint8_t *data, uint32_t len, const char *word)
{
    static uint8_t spares[SERVICE_BURST_MAX][SERVICE_DATAGRAM_BYTES], room[SERVICE_DATAGRAM_BYTES];
    struct reply replies[SERVICE_BURST_MAX];
    struct request request = {.data = data,
                              .len = len,
                              .source = bed_source(BED_ADMIN),
                              .room = room,
                              .room_bytes = sizeof(room)};
    bool more;
    for (unsigned i = 0; i < SERVICE_BURST_MAX; i++)
        replies[i].spare = spares[i];
    unsigned nb = bed_handle_burst(bed, &request, 1, replies, SERVICE_BURST_MAX, &more);
    CHECK(nb > 0 && !more && memcmp(room + 8, word, strlen(word)) == 0);
    return nb;
}

static bool is_hit(struct bed *bed, uint32_t key)
{
    static uint8_t data[64] = {[5] = 1};
    int len = 8 + sprintf((char *)data + 8, "get nm%014u\r\n", key);
    struct service_counters before, after;
    service_counters(bed->service, &before);
    ask(bed, data, (uint32_t)len, "");
    service_counters(bed->service, &after);
    return after.values[COUNTER_GET_HITS] > before.values[COUNTER_GET_HITS];
}

static void set(struct bed *bed, uint32_t key)
{
    static uint8_t data[VALUE_MAX + 100] = {[5] = 1};
    uint32_t len =
        8 + (uint32_t)sprintf((char *)data + 8, "set nm%014u 0 0 %u\r\n", key, sizes[key]);
    memset(data + len, 'v', sizes[key]);
    memcpy(data + len + sizes[key], "\r\n", 2);
    ask(bed, data, len + sizes[key] + 2, "STORED");
}

int main(int argc, char **argv)
{
    static struct bed bed;
    static struct workload workload;
    struct workload_config config = {.nb_keys = NB_KEYS, .zipf = 0.99, .seed = 1};
    struct random random = {1};
    const char *is_long = getenv("NEARMETAL_TEST_LONG");
    uint64_t nb_sets_max = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    if (is_long != NULL && strcmp(is_long, "1") == 0)
        nb_sets_max = NB_SETS_LONG;
    bool overwrite = argc > 2 && strcmp(argv[2], "--overwrite") == 0;
    uint64_t nb_sets = 0, nb_steps = 0, nb_counted = 0, nb_hits = 0, nb_lru_hits = 0;
    double lowest_share = 1;
    struct service_counters counters;

    bed_open(&bed, MEMORY_BYTES);
    workload_init(&workload, &config);
    lru.next[NONE] = lru.previous[NONE] = NONE;
    for (uint32_t key = 0; key < NB_KEYS; key++)
        draw_size(key, &random);
    while (nb_sets < nb_sets_max) {
        uint32_t key = workload_draw(&workload).number;
        bool counts = nb_sets > (uint64_t)(WARM_SHARE * (double)nb_sets_max), hit = false;
        if (overwrite && nb_steps++ % 10 == 0)
            draw_size(key, &random);
        else
            hit = is_hit(&bed, key);
        if (!hit) {
            set(&bed, key);
            nb_sets++;
        }
        service_counters(bed.service, &counters);
        bool lru_hit = !overwrite && lru_access(key, counters.values[COUNTER_LIVE_BYTES]);
        if (!counts)
            continue;
        nb_counted++;
        nb_hits += hit;
        nb_lru_hits += lru_hit;
        double share = (double)counters.values[COUNTER_LIVE_BYTES] / MEMORY_BYTES;
        lowest_share = share < lowest_share ? share : lowest_share;
    }
    double ratio = (double)nb_hits / (double)nb_counted;
    double lru_ratio = (double)nb_lru_hits / (double)nb_counted;
    printf("{\"sets\":%llu,\"live_share_lowest\":%.4f,\"hit_ratio\":%.4f,\"lru_hit_ratio\":%.4f,"
           "\"evicted\":%llu}\n",
           (unsigned long long)nb_sets, lowest_share, ratio, lru_ratio,
           (unsigned long long)counters.values[COUNTER_EVICTED]);
    CHECK(counters.values[COUNTER_EVICTED] > 0);
    CHECK(lowest_share >= SHARE_MIN);
    CHECK(overwrite || fabs(ratio - lru_ratio) <= POINTS_MAX || ratio > lru_ratio);
    bed_close(&bed);
    return 0;
}
