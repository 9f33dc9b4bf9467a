/* SPDX-License-Identifier: BSD-3-Clause */
#include "beside_net.h"

#include <string.h>

#include "../check.h"
#include "fake_frames.h"
#include "usual.h"

/* The result of frames/ for a frame. */
struct expected {
    struct bed_frame frame; /* holds the answer or reply */
    struct request request;
    bool is_answered;
};

static struct datapath *open_once(void)
{
    static struct datapath *dp;
    static const struct datapath_config config = {
        .listen = {.addr = {[10] = 0xff, 0xff, 10, 0, 0, 2}, .port = BED_PORT},
        .batch = SERVICE_BURST_MAX,
        .poll = true};
    fake()->tx_room = fake()->nb_alloc = UINT32_MAX / 2;
    if (dp == NULL)
        CHECK(datapath_open(&dp, &config) == NULL);
    return dp;
}

static void expect(const struct net *net, struct expected *expected, const struct bed_frame *came,
                   uint32_t vouched)
{
    struct bed_frame *copy = &expected->frame;
    *copy = *came;
    struct frame frame = {.data = copy->bytes, .len = copy->len, .vouched = vouched};
    net_receive(net, &frame, &expected->request, &expected->is_answered);
    copy->len = frame.len;
}

static void check_request(const struct request *request, const struct request *expected,
                          uint64_t nb_by_reason[NB_DROP_REASONS])
{
    CHECK(request->drop == expected->drop);
    nb_by_reason[request->drop]++;
    CHECK(request->len == expected->len);
    if (request->drop != DROP_NONE)
        return;
    CHECK(memcmp(request->data, expected->data, request->len) == 0);
    CHECK(request->room == request->data && request->room_bytes == expected->room_bytes);
    CHECK(memcmp(&request->source, &expected->source, sizeof(request->source)) == 0);
}

/* Clear the fields that may differ, after a check of the IPv4 checksum. */
static void level(struct bed_frame *frame, bool is_answer)
{
    if (bed_get16(frame->bytes + 12) != 0x0800)
        return;
    CHECK(bed_checksum(0, frame->bytes + 14, 20) == 0);
    memset(frame->bytes + 18, 0, 4);
    memset(frame->bytes + 24, 0, 2);
    if (!is_answer)
        return;
    frame->bytes[15] = 0;
    CHECK(bed_checksum(0, frame->bytes + 34, frame->len - 34) == 0);
    if (bed_get16(frame->bytes + 36) == 0xffff)
        bed_put16(frame->bytes + 36, 0);
}

static void check_sent(unsigned at, struct expected *expected, bool is_answer)
{
    struct bed_frame *sent = &fake()->sent[at];
    CHECK(at < fake()->nb_sent && sent->len == expected->frame.len);
    level(sent, is_answer);
    level(&expected->frame, is_answer);
    CHECK(memcmp(sent->bytes, expected->frame.bytes, sent->len) == 0);
}

/* Reply in place to each request, and to every fourth once more in a spare. */
static unsigned reply_to(const struct net *net, struct expected *expected,
                         const struct request *requests, unsigned nb, struct reply *replies,
                         unsigned nb_lent)
{
    unsigned nb_replies = 0;
    for (unsigned i = 0; i < nb && nb_replies < nb_lent; i++) {
        if (requests[i].drop != DROP_NONE)
            continue;
        struct bed_frame *frame = &expected[i].frame;
        uint32_t len = (requests[i].len * 37 + i) % (SERVICE_DATAGRAM_BYTES + 1);
        memset(frame->bytes + 42, (int)len, len);
        memset(requests[i].room, (int)len, len);
        frame->len = net_turn(net, frame->bytes, len);
        replies[nb_replies].data = requests[i].room;
        replies[nb_replies].len = len;
        replies[nb_replies++].request = i;
    }
    return nb_replies;
}

static void check_burst(struct datapath *dp, const struct net *net, struct expected *expected,
                        const struct request *requests, unsigned nb)
{
    struct reply replies[SERVICE_BURST_MAX];
    bool sent[SERVICE_BURST_MAX];
    unsigned nb_lent = datapath_lend(dp, replies, SERVICE_BURST_MAX), at = 0;
    CHECK(nb_lent == SERVICE_BURST_MAX);
    unsigned nb_replies = reply_to(net, expected, requests, nb, replies, nb_lent);
    fake()->nb_sent = 0;
    datapath_tx_burst(dp, replies, nb_replies, sent);
    for (unsigned i = 0; i < nb; i++) {
        if (expected[i].is_answered)
            check_sent(at++, &expected[i], true);
    }
    for (unsigned i = 0; i < nb_replies; i++) {
        CHECK(sent[i]);
        check_sent(at++, &expected[replies[i].request], false);
    }
    CHECK(at == fake()->nb_sent);
    datapath_release(dp);
    CHECK(fake()->nb_out == SERVICE_BURST_MAX); /* the spares */
}

void beside_net(const struct bed_frame *frames, const uint32_t *vouched, unsigned nb,
                uint64_t nb_by_reason[NB_DROP_REASONS])
{
    static struct expected expected[SERVICE_BURST_MAX];
    struct request requests[SERVICE_BURST_MAX];
    struct datapath *dp = open_once();
    struct net net;
    bed_open(&net);
    for (unsigned i = 0; i < nb; i++) {
        expect(&net, &expected[i], &frames[i], vouched[i]);
        fake()->rx[i] = frames[i];
        fake()->vouched[i] = vouched[i];
    }
    fake()->nb_rx = nb;
    CHECK(datapath_rx_burst(dp, requests, SERVICE_BURST_MAX) == nb);
    for (unsigned i = 0; i < nb; i++)
        check_request(&requests[i], &expected[i].request, nb_by_reason);
    check_burst(dp, &net, expected, requests, nb);
}
