/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop with each load, on a port in memory: all requests of a seed are known, every reply that
 * is right counts, and a wrong byte at any position of any kind of reply is found.
 */
#include <stdio.h>
#include <string.h>

#include "../check.h"
#include "loop.h"
#include "memory_port.h"

#define WINDOW 32u
#define NB_FLOWS 4u
#define TSC_HZ 1000000000u /* any: no test depends on it */
#define TIMEOUT_NS 1000000u

static const struct load_config same = {
    .lengths = {{.key_bytes = 16, .value_bytes = 33, .share = 1}}, .nb_classes = 1};
static const struct load_config stamped = {
    .lengths = {{.key_bytes = 8, .value_bytes = 8, .share = 1}},
    .nb_classes = 1,
    .stamped = true,
    .stamp = 7};
static const struct load_config brief = {
    .lengths = {{.key_bytes = 9, .value_bytes = 17, .share = 1}}, .nb_classes = 1};
static const struct load_config mixed = {.lengths = {{16, 32, 0.5}, {20, 16, 0.3}, {9, 1000, 0.2}},
                                         .nb_classes = 3};

static struct port port;
static struct loop loop;

static void loop_make(const struct load_type *type, const struct load_config *config)
{
    struct workload_config workload = {
        .nb_keys = MEMORY_KEYS, .set = 0.3, .miss = 0.1, .zipf = 0.99, .seed = 7};
    struct loop_config sizes = {
        .nb_flows = NB_FLOWS, .window = WINDOW, .timeout_ns = TIMEOUT_NS, .tsc_hz = TSC_HZ};

    memory_port_init(&port, !type->stores);
    memset(&loop, 0, sizeof(loop));
    workload_init(&loop.workload, &workload);
    CHECK(loop_init(&loop, type, config));
    loop.port = &port;
    CHECK(loop_open(&loop, &sizes));
}

/* Each key once. */
static void keys_run(enum phase phase)
{
    loop_start(&loop, phase, false);
    while (loop.source.nb_done < MEMORY_KEYS)
        loop_turn(&loop);
    CHECK(loop.phase_wrong == 0 && loop.phase_lost == 0 && !loop.gave_up);
}

static void drain(void)
{
    loop_start(&loop, PHASE_DRAIN, true);
    while (loop.match.nb_in_flight > 0)
        loop_turn(&loop);
}

/* Send about so many requests of the mix, or until a reply was harmed. */
static void mix_run(uint64_t nb, bool until_harmed)
{
    uint64_t end = port.nb_requests + nb;

    loop_start(&loop, PHASE_MIX, true);
    while (port.nb_requests < end && !(until_harmed && port.harmed))
        loop_turn(&loop);
    drain();
}

static void fill(void)
{
    if (loop.type->stores) {
        keys_run(PHASE_PRELOAD);
        keys_run(PHASE_VERIFY);
    }
    mix_run(20000, false);
    CHECK(loop.counts.sent >= 20000 && loop.counts.sent == loop.counts.answered);
    CHECK(loop.counts.sent == loop.counts.gets + loop.counts.sets && loop.counts.sets > 5000);
    CHECK(loop.counts.wrong == 0 && loop.counts.lost == 0);
}

/* The bytes of all requests, their flows and their order follow from the seed alone, and are those
 * of earlier versions. */
static void a_seed_is_a_stream(const struct load_type *type, const struct load_config *config,
                               uint64_t digest)
{
    loop_make(type, config);
    fill();
    if (port.digest != digest)
        fprintf(stderr, "%s: %#llx\n", type->name, (unsigned long long)port.digest);
    CHECK(port.digest == digest);
    loop_close(&loop);
}

/* A changed id makes the reply that of no request, or of another one; then this one is lost. */
static void harm_is_found(char letter, uint32_t len, uint32_t at)
{
    loop.counts = (struct counts){0};
    port.harm_letter = letter;
    port.harm_len = len;
    port.harm_at = at;
    port.harmed = false;
    mix_run(100000, true);
    CHECK(port.harmed);
    CHECK(loop.counts.sent == loop.counts.answered + loop.counts.wrong + loop.counts.lost);
    if (at < 2)
        CHECK(loop.counts.answered < loop.counts.sent);
    else
        CHECK(loop.counts.wrong == 1 && loop.counts.lost == 0);
}

/* nb_kinds: of replies, by their first letter and their length. */
static void every_byte_of_every_reply_counts(const struct load_type *type,
                                             const struct load_config *config, unsigned nb_kinds)
{
    static const char letters[] = "VSEgs"; /* VALUE, STORED, END; get and set from an echo */

    loop_make(type, config);
    fill();
    for (const char *letter = letters; *letter != '\0'; letter++)
        for (uint32_t len = 0; len < MEMORY_ROOM_BYTES; len++) {
            if (!port.seen[(unsigned)*letter][len])
                continue;
            for (uint32_t at = 0; at < len; at++)
                harm_is_found(*letter, len, at);
            nb_kinds--;
        }
    CHECK(nb_kinds == 0);
    loop_close(&loop);
}

/* The share of keys with each length, and that a key keeps its length: values were stored by
 * preload, and read back and compared since. */
static void lengths_have_their_shares(void)
{
    unsigned nb[3] = {0};

    loop_make(&load_kv, &mixed);
    fill();
    for (uint32_t i = 0; i < MEMORY_KEYS; i++)
        for (unsigned class = 0; class < 3; class ++)
            nb[class] += port.values[i].bytes == mixed.lengths[class].value_bytes;
    CHECK(nb[0] + nb[1] + nb[2] == MEMORY_KEYS);
    for (unsigned class = 0; class < 3; class ++) /* more than four standard deviations */
        CHECK(nb[class] > mixed.lengths[class].share * MEMORY_KEYS - 50 &&
              nb[class] < mixed.lengths[class].share * MEMORY_KEYS + 50);
    loop_close(&loop);
}

int main(void)
{
    a_seed_is_a_stream(&load_kv, &same, 0x15de0f6623f02226u);
    a_seed_is_a_stream(&load_kv, &brief, 0xd35c9b2f74fd399u);
    a_seed_is_a_stream(&load_echo, &same, 0xc4dd05fd7ca05adau);
    a_seed_is_a_stream(&load_echo, &stamped, 0x47f6095976ce181bu);
    every_byte_of_every_reply_counts(&load_kv, &same, 3);
    every_byte_of_every_reply_counts(&load_kv, &brief, 3);
    every_byte_of_every_reply_counts(&load_kv, &mixed, 5);
    every_byte_of_every_reply_counts(&load_echo, &same, 2);
    every_byte_of_every_reply_counts(&load_echo, &stamped, 2);
    every_byte_of_every_reply_counts(&load_echo, &mixed, 6);
    lengths_have_their_shares();
    return 0;
}
