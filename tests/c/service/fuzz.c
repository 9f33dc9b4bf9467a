/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target: any datagrams, from any source, in any bursts, at any time, through the burst
 * interface, checked against what the contract promises for all bytes.
 *
 * An input is a sequence of bursts: a byte with the number of requests and one with the number of
 * slots, then per request a byte (source, room in place, seconds that pass before the burst), a
 * length of 16 bits, and that many bytes (fewer at the input's end). Most inputs would be dropped
 * at the frame's total; so a bit of the first byte puts a valid frame before the bytes.
 */
#include <string.h>

#include "bed.h"
#include "kv_row.h"
#include "../check.h"

enum { MEMORY_BYTES = 1 << 20, BURST_MAX = 16, DATAGRAM_MAX = 65507 };

struct input {
    const uint8_t *at, *end;
};

/* One request of a burst, and the answer received so far. */
struct asked {
    uint8_t *data, *room;
    uint8_t id[2];
    enum bed_who who;
    uint32_t nb_datagrams, total, reply_bytes;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes);

static uint32_t take(struct input *input, uint32_t nb)
{
    uint32_t value = 0;
    for (; nb > 0 && input->at < input->end; nb--)
        value = value << 8 | *input->at++;
    return value;
}

static void make_request(struct input *input, struct request *request, struct asked *asked,
                         uint64_t *now_ns)
{
    uint32_t options = take(input, 1), len = take(input, 2);
    bool framed = options & 1, alias = options & 2;
    uint64_t left = (uint64_t)(input->end - input->at);
    uint32_t nb_frame = framed ? 8 : 0;
    len = len > left ? (uint32_t)left : len;
    len = len > DATAGRAM_MAX - 8 ? DATAGRAM_MAX - 8 : len;
    uint32_t room_bytes = len + 8 > SERVICE_DATAGRAM_BYTES ? len + 8 : SERVICE_DATAGRAM_BYTES;
    *asked = (struct asked){.who = (enum bed_who)(options >> 2 & 3)};
    /* Exactly the promised length: AddressSanitizer guards the bytes behind it. */
    asked->data = malloc(alias ? room_bytes : nb_frame + len + !(nb_frame + len));
    asked->room = alias ? asked->data : malloc(room_bytes);
    CHECK(asked->data != NULL && asked->room != NULL);
    if (framed)
        memcpy(asked->data, (const uint8_t[]){0xab, (uint8_t)options, 0, 0, 0, 1, 0, 0}, 8);
    memcpy(asked->data + nb_frame, input->at, len);
    input->at += len;
    if (nb_frame + len >= 2)
        memcpy(asked->id, asked->data, 2);
    *now_ns += (uint64_t)(options >> 4) * 700000000u;
    *request = (struct request){.data = asked->data,
                                .len = nb_frame + len,
                                .source = bed_source(asked->who),
                                .room = asked->room,
                                .room_bytes = room_bytes};
}

static uint32_t big16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

static void check_reply(const struct reply *reply, struct asked *asked, unsigned nb_requests)
{
    CHECK(reply->request < nb_requests);
    asked += reply->request;
    CHECK(reply->data == (asked->nb_datagrams == 0 ? asked->room : reply->spare));
    CHECK(reply->len > 8 && reply->len <= SERVICE_DATAGRAM_BYTES);
    CHECK(memcmp(reply->data, asked->id, 2) == 0);
    CHECK(big16(reply->data + 2) == asked->nb_datagrams);
    CHECK(asked->nb_datagrams == 0 || big16(reply->data + 4) == asked->total);
    asked->total = big16(reply->data + 4);
    asked->nb_datagrams++;
    asked->reply_bytes += reply->len;
}

static void check_request(const struct request *request, const struct asked *asked)
{
    CHECK((asked->nb_datagrams > 0) == (request->drop == DROP_NONE));
    CHECK(asked->nb_datagrams == asked->total);
    CHECK(asked->nb_datagrams <= SERVICE_REPLY_DATAGRAMS_MAX);
    CHECK(request->drop < NB_DROP_REASONS && request->drop != DROP_TX);
    if (asked->who == BED_STRANGER)
        CHECK(asked->nb_datagrams == 0);
    if (asked->who == BED_UNTRUSTED)
        CHECK(asked->reply_bytes <= 3 * request->len);
    if (request->len <= 8)
        CHECK(request->drop == DROP_SHORT);
}

static void run_burst(struct input *input, struct bed *bed)
{
    static uint8_t spares[SERVICE_BURST_MAX][SERVICE_DATAGRAM_BYTES];
    struct request requests[BURST_MAX];
    struct asked asked[BURST_MAX];
    struct reply replies[SERVICE_BURST_MAX];
    unsigned nb = 1 + take(input, 1) % BURST_MAX, nb_slots = 1 + take(input, 1) % SERVICE_BURST_MAX;
    unsigned nb_new = nb, nb_calls = 0;
    bool more;
    for (unsigned i = 0; i < nb; i++)
        make_request(input, &requests[i], &asked[i], &bed->now_ns);
    do {
        for (unsigned i = 0; i < nb_slots; i++)
            replies[i].spare = spares[i];
        unsigned nb_replies = bed_handle_burst(bed, requests, nb_new, replies, nb_slots, &more);
        CHECK(nb_replies <= nb_slots && (nb_replies > 0 || !more));
        for (unsigned i = 0; i < nb_replies; i++)
            check_reply(&replies[i], asked, nb);
        nb_new = 0;
        CHECK(++nb_calls <= BURST_MAX * (SERVICE_REPLY_DATAGRAMS_MAX + 1));
    } while (more);
    for (unsigned i = 0; i < nb; i++) {
        check_request(&requests[i], &asked[i]);
        if (asked[i].room != asked[i].data)
            free(asked[i].room);
        free(asked[i].data);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes)
{
    struct input input = {data, data + nb_bytes};
    static struct bed bed;
    struct service_counters counters;
    bed_open(&bed, MEMORY_BYTES);
    while (input.at < input.end)
        run_burst(&input, &bed);
    service_counters(bed.service, &counters);
    CHECK(counters.values[COUNTER_LIVE_BYTES] <= MEMORY_BYTES &&
          counters.values[COUNTER_GET_HITS] <= counters.values[COUNTER_GET]);
    CHECK((counters.values[COUNTER_ITEMS] == 0) == (counters.values[COUNTER_LIVE_BYTES] == 0));
    return 0;
}
