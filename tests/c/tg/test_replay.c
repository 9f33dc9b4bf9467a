/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The load replay on a port in memory that answers from the records themselves: what is asked and
 * in which order, and that every bit under a mask, every length and every other record's reply is
 * judged exactly. The bits that no mask covers are random in every reply.
 */
#include <stdio.h>
#include <string.h>

#include "../check.h"
#include "loop.h"
#include "random.h"
#include "replay_bed.h"

#define WINDOW 32u
#define NB_FLOWS 4u
#define TSC_HZ 1000000000u /* any: no test depends on it */
#define TIMEOUT_NS 1000000u
#define NB_BEFORE 5u
#define NB_RECORDS 40u
#define NB_ALL (NB_BEFORE + NB_RECORDS)
#define REQUEST_ID_AT 1u /* byte 0 is the number of the record in the file */
#define REPLY_ID_AT 3u
#define BYTES_MAX 256u
#define QUEUE 256u
#define NO_RECORD UINT32_MAX

enum harm {
    HARM_NONE,
    HARM_BIT,
    HARM_CUT,
    HARM_LONGER,
    HARM_OTHER,
    HARM_ID,
    HARM_DROP,
    HARM_TWICE
};

struct known {
    uint32_t request_bytes, reply_bytes;
    uint8_t request[BYTES_MAX], reply[BYTES_MAX], mask[BYTES_MAX];
};

struct room {
    uint32_t flow, len;
    uint8_t data[2 * BYTES_MAX];
};

struct port {
    struct room requests[PORT_BURST_MAX], replies[QUEUE];
    uint32_t next, end; /* replies not yet received: [next, end) */
    uint32_t nb_held;   /* `before`: polls that still find no reply */
    uint32_t nb_asked[NB_ALL], nb_before_asked;
    uint64_t nb_requests, digest;
    /* Harm the next reply of a record; NO_RECORD: of any. */
    enum harm harm;
    uint32_t harm_record, harm_at;
    uint64_t nb_unchecked; /* bytes of replies without harm */
};

static struct known records[NB_ALL];
static struct bed bed;
static struct replay_file file;
static struct port port;
static struct loop loop;
static struct random noise = {.state = 5};

static uint8_t any_byte(void)
{
    return (uint8_t)(random_next(&noise) >> 56);
}

/* The first records of the mix have short replies of all lengths, the last ones are longer. */
static void records_make(void)
{
    for (uint32_t i = 0; i < NB_ALL; i++) {
        struct known *known = &records[i];
        const uint32_t more = i < 30 ? i : 8 * (i - 20);

        known->request_bytes = 3 + (uint32_t)random_next(&noise) % (BYTES_MAX - 3);
        known->reply_bytes = REPLY_ID_AT + REPLAY_ID_BYTES + more;
        for (uint32_t at = 0; at < BYTES_MAX; at++) {
            const uint8_t kind = any_byte();

            known->request[at] = any_byte();
            known->reply[at] = any_byte();
            known->mask[at] = kind < 128 ? 0xff : kind < 192 ? 0 : any_byte();
        }
        known->request[0] = (uint8_t)i;
        known->mask[0] = 0xff;
        known->reply[0] = (uint8_t)i; /* so that no two replies are alike */
    }
}

static void file_make(void)
{
    records_make();
    bed_begin(&bed, NB_BEFORE, NB_RECORDS, REQUEST_ID_AT, REPLY_ID_AT);
    for (uint32_t i = 0; i < NB_ALL; i++)
        bed_add(&bed, records[i].request, records[i].request_bytes, records[i].reply,
                records[i].mask, records[i].reply_bytes);
    CHECK(replay_file_parse(&file, bed.bytes, bed.nb) == NULL);
}

/* ---- the port ---- */

/* Replies of the same latency are recorded together, so no clock is needed here. */
static void reply_add(uint32_t flow, const struct room *reply)
{
    struct room *to = &port.replies[port.end++ % QUEUE];

    CHECK(port.end - port.next <= QUEUE);
    *to = *reply;
    to->flow = flow;
}

static uint32_t reply_make(struct room *reply, const struct known *known, const uint8_t *id)
{
    uint32_t nb_unchecked = 0;

    reply->len = known->reply_bytes;
    for (uint32_t at = 0; at < known->reply_bytes; at++) {
        const bool is_id = at == REPLY_ID_AT || at == REPLY_ID_AT + 1;

        reply->data[at] = known->reply[at] ^ (uint8_t)(any_byte() & ~known->mask[at]);
        nb_unchecked += !is_id && known->mask[at] != 0xff;
    }
    memcpy(reply->data + REPLY_ID_AT, id, REPLAY_ID_BYTES);
    return nb_unchecked;
}

static void reply_harm(struct room *reply, uint32_t number, const uint8_t *id)
{
    switch (port.harm) {
    case HARM_BIT:
        reply->data[port.harm_at / 8] ^= (uint8_t)(1u << port.harm_at % 8);
        break;
    case HARM_CUT:
        reply->len = port.harm_at;
        break;
    case HARM_LONGER:
        memset(reply->data + reply->len, 0, port.harm_at);
        reply->len += port.harm_at;
        break;
    case HARM_OTHER:
        CHECK(port.harm_at != number);
        (void)reply_make(reply, &records[port.harm_at], id);
        break;
    case HARM_ID:
        reply->data[REPLY_ID_AT] = 0xff; /* that of no request so far */
        break;
    default:
        break;
    }
}

/* Find the record of a request, and check all of its bytes. */
static uint32_t request_take(const struct datagram *request)
{
    const uint32_t number = request->data[0];
    const struct known *known = &records[number];

    CHECK(number < NB_ALL && request->len == known->request_bytes);
    for (uint32_t at = 0; at < request->len; at++)
        CHECK(request->data[at] == known->request[at] || at == REQUEST_ID_AT ||
              at == REQUEST_ID_AT + 1);
    port.digest = (port.digest ^ number ^ request->flow << 8) * 0x100000001b3u; /* FNV-1a */
    port.nb_requests++;
    port.nb_asked[number]++;
    return number;
}

static void answer(const struct datagram *request)
{
    const uint32_t number = request_take(request);
    const uint8_t *id = request->data + REQUEST_ID_AT;
    const bool harmed =
        port.harm != HARM_NONE && (port.harm_record == NO_RECORD || port.harm_record == number);
    const enum harm harm = harmed ? port.harm : HARM_NONE;
    struct room reply;
    const uint32_t nb_unchecked = reply_make(&reply, &records[number], id);

    if (harm == HARM_NONE || harm == HARM_TWICE)
        port.nb_unchecked += nb_unchecked;
    if (harmed)
        reply_harm(&reply, number, id);
    if (harm != HARM_DROP)
        reply_add(request->flow, &reply);
    if (harm == HARM_TWICE)
        reply_add(request->flow, &reply);
    if (harmed)
        port.harm = HARM_NONE;
}

unsigned port_lend(struct port *unused, struct datagram *datagrams, unsigned nb)
{
    (void)unused;
    for (unsigned i = 0; i < nb; i++)
        datagrams[i].data = port.requests[i].data;
    return nb;
}

void port_tx_burst(struct port *unused, const struct datagram *datagrams, unsigned nb)
{
    (void)unused;
    if (loop.source.phase == PHASE_BEFORE)
        CHECK(nb == 1 && port.next == port.end); /* one after another */
    port.nb_held = loop.source.phase == PHASE_BEFORE ? 3 : 0;
    for (unsigned i = 0; i < nb; i++)
        answer(&datagrams[i]);
}

unsigned port_rx_burst(struct port *unused, struct datagram *datagrams, unsigned nb, bool *round)
{
    unsigned got = 0;

    (void)unused;
    if (port.nb_held > 0) {
        port.nb_held--;
        return 0; /* and no round ends */
    }
    for (; got < nb && port.next != port.end; got++) {
        struct room *reply = &port.replies[port.next++ % QUEUE];
        /* A port does not hand on more of a long reply than shows that it is too long. */
        const uint32_t most = loop.reply_bytes + 1;

        datagrams[got] = (struct datagram){
            .data = reply->data, .len = reply->len < most ? reply->len : most, .flow = reply->flow};
    }
    *round = port.next == port.end;
    return got;
}

/* ---- tests ---- */

static void loop_make(uint64_t seed, double zipf)
{
    struct load_config load = {.records = &file, .asks_before = true};
    struct workload_config workload = {.nb_keys = NB_RECORDS, .zipf = zipf, .seed = seed};
    struct loop_config sizes = {
        .nb_flows = NB_FLOWS, .window = WINDOW, .timeout_ns = TIMEOUT_NS, .tsc_hz = TSC_HZ};

    memset(&port, 0, sizeof(port));
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
    port.harm_at = 5;
    before_run();
    CHECK(loop.phase_wrong == 1);
    CHECK(port.nb_asked[4] == 0);
    CHECK(strcmp(loop.said, "record 3 of before: 5 bytes, expected 8") == 0);
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
        if (at / 8 == REPLY_ID_AT || at / 8 == REPLY_ID_AT + 1)
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
        for (uint32_t len = REPLY_ID_AT + REPLAY_ID_BYTES; len < bytes; len++)
            is_wrong(HARM_CUT, record, len);
        is_wrong(HARM_LONGER, record, 1);
        is_wrong(HARM_LONGER, record, BYTES_MAX);
        for (uint32_t other = 0; other < NB_ALL; other++)
            if (other != record)
                is_wrong(HARM_OTHER, record, other);
        harm(HARM_TWICE, record, 0);
        CHECK(loop.counts.answered == loop.counts.sent && loop.counts.duplicate == 1);
    }
    for (uint32_t len = 0; len < REPLY_ID_AT + REPLAY_ID_BYTES; len++)
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
    is_wrong(HARM_BIT, NB_BEFORE + 7, 1); /* byte 0 is the number of the record in the file */
    snprintf(said, sizeof(said), "record 7: byte 0 is 0x%02x, expected 0x%02x", 12 ^ 2, 12);
    CHECK(strcmp(loop.said, said) == 0);
    is_wrong(HARM_LONGER, NB_BEFORE + 39, BYTES_MAX);
    CHECK(strstr(loop.said, "record 39: ") != NULL && strstr(loop.said, " bytes or more") != NULL);
    loop_close(&loop);
}

static void the_first_answer_is_the_first_record(void)
{
    const struct known *known = &records[NB_BEFORE];
    const uint8_t none[REPLAY_ID_BYTES] = {0};
    struct replay_file alone = file;
    struct room room;
    uint8_t request[BYTES_MAX];

    loop_make(1, 0);
    loop.state.replay.file = &alone;
    CHECK(loop.type->first_write(&loop, request) == known->request_bytes);
    CHECK(request[0] == NB_BEFORE && memcmp(request + REQUEST_ID_AT, none, sizeof(none)) == 0);
    (void)reply_make(&room, known, none);
    for (alone.nb_before = 0; alone.nb_before < 2; alone.nb_before++) {
        const bool any = alone.nb_before > 0; /* the state is not there yet */

        CHECK(loop.type->first_check(&loop, room.data, room.len));
        CHECK(!loop.type->first_check(&loop, room.data, REPLY_ID_AT + 1));
        room.data[REPLY_ID_AT] = 1;
        CHECK(!loop.type->first_check(&loop, room.data, room.len));
        room.data[REPLY_ID_AT] = 0;
        CHECK(loop.type->first_check(&loop, room.data, room.len + 1) == any);
        room.data[0] ^= 1;
        CHECK(loop.type->first_check(&loop, room.data, room.len) == any);
        room.data[0] ^= 1;
    }
    loop_close(&loop);
}

int main(void)
{
    file_make();
    before_is_asked_once_and_in_order();
    a_lost_request_of_before_is_asked_again();
    a_wrong_answer_of_before_is_said();
    a_seed_is_a_stream(0.99);
    a_seed_is_a_stream(0);
    every_lie_counts();
    the_first_wrong_answer_is_said();
    the_first_answer_is_the_first_record();
    return 0;
}
