/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The load replay on a port in memory that answers from the records themselves: what is asked and
 * in which order, and that every bit under a mask, every length and every other record's reply is
 * judged exactly.
 */
#include <stdio.h>
#include <string.h>

#include "../check.h"
#include "replay_port.h"

#define WINDOW 32u
#define NB_FLOWS 4u
#define TSC_HZ 1000000000u /* any: no test depends on it */
#define TIMEOUT_NS 1000000u

static struct replay_file file;
static struct port port;
static struct loop loop;

static void loop_make(uint64_t seed, double zipf)
{
    struct load_config load = {.records = &file, .asks_before = true};
    struct workload_config workload = {.nb_keys = NB_RECORDS, .zipf = zipf, .seed = seed};
    struct loop_config sizes = {
        .nb_flows = NB_FLOWS, .window = WINDOW, .timeout_ns = TIMEOUT_NS, .tsc_hz = TSC_HZ};

    replay_port_init(&port, &loop);
    memset(&loop, 0, sizeof(loop));
    workload_init(&loop.workload, &workload);
    CHECK(loop_init(&loop, &load_replay, &load));
    loop.port = &port;
    CHECK(loop_open(&loop, &sizes));
}

static void before_run(void)
{
    loop_start(&loop, PHASE_BEFORE, false);
    while (loop.source.nb_done < loop.source.nb_once)
        loop_turn(&loop);
}

static void mix_run(uint64_t nb)
{
    const uint64_t end = port.nb_requests + nb;

    loop.counts = (struct counts){0};
    port.nb_unchecked = 0;
    loop_start(&loop, PHASE_MIX, true);
    while (port.nb_requests < end || (port.harm != HARM_NONE && port.nb_requests < 1000 * end))
        loop_turn(&loop);
    loop_start(&loop, PHASE_DRAIN, true);
    while (loop.match.nb_in_flight > 0 || port.next != port.end)
        loop_turn(&loop);
    CHECK(port.harm == HARM_NONE);
    CHECK(loop.counts.sent == loop.counts.answered + loop.counts.wrong + loop.counts.lost);
    CHECK(loop.counts.sent == loop.counts.gets && loop.counts.sets == 0);
    CHECK(loop.counts.stale == 0 && loop.counts.unexpected_miss == 0 && loop.counts.late == 0);
}

static void before_is_asked_once_and_in_order(void)
{
    loop_make(1, 0);
    for (uint32_t i = 0; i < NB_BEFORE; i++) {
        CHECK(port.nb_requests == 0);
        loop_start(&loop, PHASE_BEFORE, false);
        while (port.nb_requests <= i)
            loop_turn(&loop);
        for (uint32_t other = 0; other < NB_ALL; other++)
            CHECK(port.nb_asked[other] == (other <= i));
        loop_start(&loop, PHASE_DRAIN, false);
        while (loop.match.nb_in_flight > 0)
            loop_turn(&loop);
        memset(port.nb_asked, 0, sizeof(port.nb_asked));
        port.nb_requests = 0;
    }
    before_run();
    CHECK(loop.phase_wrong == 0 && loop.phase_lost == 0 && port.nb_requests == NB_BEFORE);
    mix_run(5000);
    for (uint32_t i = 0; i < NB_BEFORE; i++)
        CHECK(port.nb_asked[i] == 1);
    loop_close(&loop);
}

static void a_lost_request_of_before_is_asked_again(void)
{
    loop_make(1, 0);
    port.harm = HARM_DROP;
    port.harm_record = 2;
    before_run();
    CHECK(loop.phase_lost == 1 && loop.phase_wrong == 0 && !loop.gave_up);
    for (uint32_t i = 0; i < NB_BEFORE; i++)
        CHECK(port.nb_asked[i] == 1 + (i == 2));
    loop_close(&loop);
}

static void a_wrong_answer_of_before_is_said(void)
{
    loop_make(1, 0);
    port.harm = HARM_CUT;
    port.harm_record = 3;
    port.harm_at = 4;
    before_run();
    CHECK(loop.phase_wrong == 1);
    CHECK(port.nb_asked[4] == 0);
    CHECK(strcmp(loop.said, "record 3 of before: 4 bytes, expected 8") == 0);
    loop_close(&loop);
}

static void a_seed_is_a_stream(double zipf)
{
    uint64_t digests[3];

    for (unsigned i = 0; i < 3; i++) {
        loop_make(1 + i / 2, zipf);
        mix_run(20000);
        for (uint32_t record = NB_BEFORE; record < NB_ALL; record++)
            CHECK(port.nb_asked[record] > 0);
        CHECK(loop.counts.answered == loop.counts.sent && loop.counts.wrong == 0);
        CHECK(loop.counts.unchecked_bytes == port.nb_unchecked && port.nb_unchecked > 0);
        digests[i] = port.digest;
        loop_close(&loop);
    }
    CHECK(digests[0] == digests[1] && digests[0] != digests[2]);
}

/* Harm one reply of a record; exactly that is counted. */
static void harm(enum harm kind, uint32_t record, uint32_t at)
{
    port.harm = kind;
    port.harm_record = record;
    port.harm_at = at;
    mix_run(1);
}

static void is_wrong(enum harm kind, uint32_t record, uint32_t at)
{
    harm(kind, record, at);
    CHECK(loop.counts.wrong == 1 && loop.counts.lost == 0 && loop.counts.unmatched == 0);
    CHECK(loop.counts.duplicate == 0 && loop.counts.unchecked_bytes == port.nb_unchecked);
}

static void is_lost(enum harm kind, uint32_t record, uint32_t at, uint32_t nb_unmatched)
{
    harm(kind, record, at);
    CHECK(loop.counts.wrong == 0 && loop.counts.lost == 1);
    CHECK(loop.counts.unmatched == nb_unmatched && loop.counts.duplicate == 0);
}

static void bits_are_judged(uint32_t record)
{
    const struct known *known = &records[record];

    for (uint32_t at = 0; at < 8 * known->reply_bytes; at++) {
        if (at / 8 == reply_id_at || at / 8 == reply_id_at + 1)
            continue; /* that is another request's */
        if ((known->mask[at / 8] >> at % 8 & 1) != 0) {
            is_wrong(HARM_BIT, record, at);
        } else {
            harm(HARM_BIT, record, at);
            CHECK(loop.counts.wrong == 0 && loop.counts.answered == loop.counts.sent);
        }
    }
}

static void every_lie_counts(void)
{
    loop_make(1, 0.99);
    for (uint32_t record = NB_BEFORE; record < NB_ALL; record++) {
        const uint32_t bytes = records[record].reply_bytes;

        bits_are_judged(record);
        for (uint32_t len = reply_id_at + REPLAY_ID_BYTES; len < bytes; len++)
            is_wrong(HARM_CUT, record, len);
        is_wrong(HARM_LONGER, record, 1);
        is_wrong(HARM_LONGER, record, BYTES_MAX);
        for (uint32_t other = 0; other < NB_ALL; other++)
            if (other != record)
                is_wrong(HARM_OTHER, record, other);
        harm(HARM_TWICE, record, 0);
        CHECK(loop.counts.answered == loop.counts.sent && loop.counts.duplicate == 1);
    }
    for (uint32_t len = 0; len < reply_id_at + REPLAY_ID_BYTES; len++)
        is_lost(HARM_CUT, NB_BEFORE, len, 1);
    is_lost(HARM_DROP, NB_BEFORE, 0, 0);
    loop_close(&loop);
    loop_make(1, 0.99); /* with ids that were never sent */
    is_lost(HARM_ID, NB_BEFORE, 0, 1);
    loop_close(&loop);
}

static void the_first_wrong_answer_is_said(void)
{
    char said[LOOP_SAID_BYTES];

    loop_make(1, 0.99);
    is_wrong(HARM_BIT, NB_BEFORE + 7, 8 * mark_at + 1);
    snprintf(said, sizeof(said), "record 7: byte %u is 0x%02x, expected 0x%02x", mark_at, 12 ^ 2,
             12);
    CHECK(strcmp(loop.said, said) == 0);
    is_wrong(HARM_LONGER, NB_BEFORE + 39, BYTES_MAX);
    CHECK(strstr(loop.said, "record 39: ") != NULL && strstr(loop.said, " bytes or more") != NULL);
    loop_close(&loop);
}

static void the_first_answer_is_the_first_record(void)
{
    const uint8_t none[REPLAY_ID_BYTES] = {0};
    struct replay_file alone = file;
    struct room room;
    uint8_t request[BYTES_MAX];

    loop_make(1, 0);
    loop.state.replay.file = &alone;
    for (alone.nb_before = 0; alone.nb_before < 2; alone.nb_before++) {
        const bool any = alone.nb_before > 0; /* it may be one that came again */
        const unsigned first = any ? 0 : NB_BEFORE;
        const struct known *known = &records[first];

        CHECK(loop.type->first_write(&loop, request) == known->request_bytes);
        CHECK(request[0] == first && memcmp(request + REQUEST_ID_AT, none, sizeof(none)) == 0);
        (void)reply_make(&room, known, none);
        CHECK(loop.type->first_check(&loop, room.data, room.len));
        CHECK(!loop.type->first_check(&loop, room.data, reply_id_at + 1));
        room.data[reply_id_at] = 1;
        CHECK(!loop.type->first_check(&loop, room.data, room.len));
        room.data[reply_id_at] = 0;
        CHECK(loop.type->first_check(&loop, room.data, room.len + 1) == any);
        if (room.len > mark_at) {
            room.data[mark_at] ^= 1;
            CHECK(loop.type->first_check(&loop, room.data, room.len) == any);
            room.data[mark_at] ^= 1;
        }
    }
    loop_close(&loop);
}

int main(void)
{
    records_open(&file, 0);
    before_is_asked_once_and_in_order();
    a_lost_request_of_before_is_asked_again();
    a_wrong_answer_of_before_is_said();
    a_seed_is_a_stream(0.99);
    a_seed_is_a_stream(0);
    for (uint32_t id_at = 0; id_at < 4; id_at += 3) {
        replay_file_close(&file);
        records_open(&file, id_at);
        every_lie_counts();
        the_first_wrong_answer_is_said();
        the_first_answer_is_the_first_record();
    }
    replay_file_close(&file);
    return 0;
}
