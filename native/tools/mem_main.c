/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nm-mem-<service>: the cost of loop and service, from request bytes to reply bytes in memory.
 *
 *     nm-mem-kv [--keys N] [--requests N] [--uniform | --zipf S] [--set F] [--value-bytes N]
 *               [--memory BYTES] [--batch N] [--rounds N] [--fill]
 *
 * Preloads all keys, then runs the same stream once per round and prints a line of JSON for each
 * round. The last line has the bytes that an item takes beyond its key and value, with its share of
 * the index. That number is meaningful when the memory is full: --fill chooses more keys than fit,
 * and runs no stream.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "clock.h"
#include "mem.h"
#include "serve.h"
#include "workload.h"

#define KEY_BYTES 16u
#define PRELOAD_CHUNK (1u << 16)
#define SEED 1u

struct bench {
    uint32_t nb_keys, value_bytes;
    uint64_t nb_requests, memory_bytes;
    double zipf, set;
    unsigned batch, nb_rounds;
    bool fill;
    struct format format;
    struct mem_stream stream;
    struct admission admission;
    struct service *service;
};

static bool parse(struct bench *bench, int argc, char **argv)
{
    static const struct option options[] = {
        {"keys", 1, NULL, 'k'},        {"requests", 1, NULL, 'n'}, {"uniform", 0, NULL, 'u'},
        {"zipf", 1, NULL, 'z'},        {"set", 1, NULL, 's'},      {"memory", 1, NULL, 'm'},
        {"value-bytes", 1, NULL, 'v'}, {"batch", 1, NULL, 'b'},    {"rounds", 1, NULL, 'r'},
        {"fill", 0, NULL, 'f'},        {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'k':
            bench->nb_keys = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'n':
            bench->nb_requests = strtoull(optarg, NULL, 10);
            break;
        case 'u':
            bench->zipf = 0;
            break;
        case 'z':
            bench->zipf = strtod(optarg, NULL);
            break;
        case 's':
            bench->set = strtod(optarg, NULL);
            break;
        case 'm':
            bench->memory_bytes = strtoull(optarg, NULL, 10);
            break;
        case 'v':
            bench->value_bytes = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'b':
            bench->batch = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'r':
            bench->nb_rounds = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'f':
            bench->fill = true;
            break;
        default:
            return false;
        }
    }
    /* Twice what the items need, as for the server of a trial. */
    uint64_t item_bytes = KEY_BYTES + bench->value_bytes + 24;
    if (bench->memory_bytes == 0)
        bench->memory_bytes = (1u << 20) + 2 * item_bytes * bench->nb_keys;
    if (bench->fill)
        bench->nb_keys = (uint32_t)(bench->memory_bytes / (item_bytes - 16));
    return bench->nb_keys > 0 && bench->nb_keys <= WORKLOAD_KEYS_MAX && bench->batch > 0 &&
           bench->batch <= SERVICE_BURST_MAX && optind == argc;
}

static void *take_memory(uint64_t nb_bytes)
{
    void *memory = mmap(NULL, nb_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
    (void)madvise(memory, nb_bytes, MADV_HUGEPAGE);
    return memory;
}

static const char *open_all(struct bench *bench)
{
    static const struct cidr loopback = {.addr = {[10] = 255, 255, 127}, .prefix_bits = 104};
    const struct cidr_list list = {&loopback, 1};
    const struct admission_config admitted = {list, list, list};
    uint64_t nb_stream = bench->nb_requests > PRELOAD_CHUNK ? bench->nb_requests : PRELOAD_CHUNK;
    if (!format_init(&bench->format, KEY_BYTES, bench->value_bytes))
        return "the values do not fit one datagram";
    struct service_config config = {.memory = take_memory(bench->memory_bytes),
                                    .memory_bytes = bench->memory_bytes,
                                    .seed = {7, 1},
                                    .now_ns = serve_now_ns()};
    bench->stream.format = &bench->format;
#ifdef LOAD_ECHO
    bench->stream.is_echo = true;
#endif
    bench->stream.bytes = take_memory(nb_stream * (bench->format.set_bytes + 2) + 64);
    if (config.memory == NULL || bench->stream.bytes == NULL)
        return "the machine does not have that much memory; give fewer --keys or --requests";
    const char *error = admission_open(&bench->admission, &admitted);
    return error != NULL ? error : service_open(&bench->service, &config);
}

/* Run the stream; returns TSC cycles. */
static uint64_t run(struct bench *bench, struct mem_result *result)
{
    atomic_int stop = 0, ask = 0;
    struct serve serve = {.service = bench->service,
                          .datapath = mem_open(&bench->stream, bench->batch, &stop),
                          .batch = bench->batch,
                          .stop = &stop,
                          .ask = &ask,
                          .admission = bench->admission};
    if (serve.datapath == NULL)
        abort();
    uint64_t cycles = clock_cycles();
    serve_until(&serve, UINT64_MAX);
    cycles = clock_cycles() - cycles;
    mem_result(serve.datapath, result);
    datapath_close(serve.datapath);
    return cycles;
}

/* Store all keys. Returns false if an answer was wrong. */
static bool preload(struct bench *bench)
{
    struct mem_result result;
    for (uint32_t first = 0; first < bench->nb_keys; first += PRELOAD_CHUNK) {
        uint32_t left = bench->nb_keys - first;
        mem_render_preload(&bench->stream, first, left < PRELOAD_CHUNK ? left : PRELOAD_CHUNK);
        run(bench, &result);
        if (result.nb_wrong != 0 || result.nb_replies != bench->stream.nb_requests)
            return false;
    }
    return true;
}

static bool run_rounds(struct bench *bench)
{
    static struct workload workload;
    struct workload_config config = {
        .nb_keys = bench->nb_keys, .set = bench->set, .zipf = bench->zipf, .seed = SEED};
    struct mem_result result;
    uint64_t hz = clock_calibrate();
    workload_init(&workload, &config);
    mem_render(&bench->stream, bench->nb_requests, &workload);
    for (unsigned i = 0; i < bench->nb_rounds; i++) {
        uint64_t cycles = run(bench, &result);
        double nb = (double)bench->stream.nb_requests;
        printf("{\"event\":\"round\",\"requests\":%" PRIu64 ",\"hits\":%" PRIu64
               ",\"stored\":%" PRIu64 ",\"checked\":%" PRIu64 ",\"wrong\":%" PRIu64
               ",\"requests_per_s\":%.0f,\"cycles_per_request\":%.1f}\n",
               bench->stream.nb_requests, result.nb_hits, result.nb_stored, result.nb_checked,
               result.nb_wrong, nb * (double)hz / (double)cycles, (double)cycles / nb);
        if (result.nb_wrong != 0 || result.nb_replies != bench->stream.nb_requests)
            return false;
    }
    return true;
}

/* Return the counter of this name; 0 if the service has none. */
static uint64_t counter(const struct service_counters *counters, const char *name)
{
    for (unsigned i = 0; i < SERVICE_COUNTERS_MAX; i++) {
        if (strcmp(service_words.counters[i], name) == 0)
            return counters->values[i];
    }
    return 0;
}

static void print_items(const struct bench *bench)
{
    struct service_counters counters;
    service_counters(bench->service, &counters);
    uint64_t nb_items = counter(&counters, "items");
    uint64_t live_bytes = counter(&counters, "live_bytes");
    double nb = (double)(nb_items > 0 ? nb_items : 1);
    printf("{\"event\":\"final\",\"service\":\"%s\",\"keys\":%" PRIu32 ",\"items\":%" PRIu64
           ",\"evicted\":%" PRIu64 ",\"memory_bytes\":%" PRIu64 ",\"live_bytes\":%" PRIu64
           ",\"bytes_per_item_beyond\":%.2f}\n",
           service_words.name, bench->nb_keys, nb_items, counter(&counters, "evicted"),
           bench->memory_bytes, live_bytes, (double)(bench->memory_bytes - live_bytes) / nb);
}

int main(int argc, char **argv)
{
    struct bench bench = {.nb_keys = 1000000,
                          .value_bytes = 32,
                          .nb_requests = 4000000,
                          .zipf = 0.99,
                          .set = 0.05,
                          .batch = 64,
                          .nb_rounds = 3};
    if (!parse(&bench, argc, argv)) {
        fprintf(stderr, "nm-mem-%s: bad option; see the head of native/tools/mem_main.c\n",
                service_words.name);
        return 2;
    }
    const char *error = open_all(&bench);
    if (error != NULL) {
        fprintf(stderr, "nm-mem-%s: %s\n", service_words.name, error);
        return 2;
    }
    bool ok = preload(&bench) && (bench.fill || run_rounds(&bench));
    print_items(&bench);
    return ok ? 0 : 1;
}
