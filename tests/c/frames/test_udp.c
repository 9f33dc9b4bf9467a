/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The datagram datapath that frames/udp.c makes of frames, against the contract in datapath.h:
 * bursts, replies in place and in spares, replies that are not sent, and the return of every frame.
 */
#include <string.h>

#include "../check.h"
#include "fake_frames.h"

static struct datapath *open_fake(unsigned nb_alloc, bool poll)
{
    struct datapath_config config = {.listen = {.port = BED_PORT}, .batch = 64, .poll = poll};
    struct datapath *dp;
    memset(fake(), 0, sizeof(*fake()));
    fake()->nb_alloc = nb_alloc;
    fake()->tx_room = FAKE_SENT_MAX;
    memcpy(config.listen.addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\2", 16);
    CHECK(datapath_open(&dp, &config) == NULL);
    CHECK(datapath_listen(dp).port == BED_PORT);
    return dp;
}

static void close_fake(struct datapath *dp)
{
    datapath_close(dp);
    CHECK(fake()->nb_out == 0);
}

/* Receive nb requests "r0", "r1", ...; then an ARP and an echo request, and an unusable frame. */
static unsigned receive(struct datapath *dp, struct request *requests, unsigned nb)
{
    struct bed_frame *rx = fake()->rx;
    for (unsigned i = 0; i < nb; i++)
        bed_request(&rx[i], (char[]){'r', (char)('0' + i)}, 2);
    bed_arp(&rx[nb]);
    bed_echo(&rx[nb + 1], "ping", 4);
    bed_request(&rx[nb + 2], "", 0);
    rx[nb + 2].bytes[12] = 0x81;
    fake()->nb_rx = nb + 3;
    CHECK(datapath_rx_burst(dp, requests, 64) == nb + 3);
    for (unsigned i = 0; i < nb; i++) {
        CHECK(requests[i].drop == DROP_NONE && requests[i].len == 2);
        CHECK(memcmp(requests[i].data, (char[]){'r', (char)('0' + i)}, 2) == 0);
    }
    CHECK(requests[nb].drop == DROP_ARP && requests[nb + 1].drop == DROP_ICMP &&
          requests[nb + 2].drop == DROP_ETHERTYPE);
    return nb + 3;
}

static struct reply in_place(const struct request *requests, uint32_t index, uint32_t len,
                             uint8_t *spare)
{
    memset(requests[index].room, 'A' + (int)index, len);
    return (struct reply){
        .spare = spare, .data = requests[index].room, .len = len, .request = (uint16_t)index};
}

/* A reply in the spare that was lent. */
static struct reply in_spare(uint32_t index, uint32_t len, struct reply lent)
{
    memset(lent.spare, 'a' + (int)index, len);
    lent.data = lent.spare;
    lent.len = len;
    lent.request = (uint16_t)index;
    return lent;
}

static void check_sent(unsigned at, char byte, uint32_t len)
{
    const struct bed_frame *sent = &fake()->sent[at];
    CHECK(sent->len == 42 + len && bed_get16(sent->bytes + 36) == 40000);
    CHECK(bed_get16(sent->bytes + 38) == 8 + len && bed_checksum(0, sent->bytes + 14, 20) == 0);
    CHECK(memcmp(sent->bytes, bed_client_mac, 6) == 0);
    for (uint32_t i = 0; i < len; i++)
        CHECK(sent->bytes[42 + i] == (uint8_t)byte);
}

static void test_replies_and_answers(void)
{
    struct datapath *dp = open_fake(1000, true);
    struct request requests[SERVICE_BURST_MAX];
    struct reply replies[SERVICE_BURST_MAX];
    bool sent[SERVICE_BURST_MAX];
    for (unsigned turn = 0; turn < 5; turn++) {
        fake()->nb_sent = 0;
        receive(dp, requests, 3);
        CHECK(datapath_lend(dp, replies, 64) == 64);
        replies[0] = in_place(requests, 0, 5, replies[0].spare);
        replies[1] = in_place(requests, 2, 1400, replies[1].spare);
        replies[2] = in_spare(2, 1400, replies[2]);
        replies[3] = in_spare(2, 9, replies[3]);
        datapath_tx_burst(dp, replies, 4, sent);
        CHECK(sent[0] && sent[1] && sent[2] && sent[3] && fake()->nb_sent == 6);
        CHECK(bed_get16(fake()->sent[0].bytes + 12) == 0x0806 && fake()->sent[1].bytes[23] == 1);
        check_sent(2, 'A', 5);
        check_sent(3, 'C', 1400);
        check_sent(4, 'c', 1400);
        check_sent(5, 'c', 9);
        datapath_release(dp);
        CHECK(fake()->nb_out == 62); /* spares that were lent and returned */
    }
    close_fake(dp);
}

/* A reply that continues in later bursts of the turn, long after its first frame was sent. */
static void test_more(void)
{
    struct datapath *dp = open_fake(1000, true);
    struct request requests[SERVICE_BURST_MAX];
    struct reply replies[SERVICE_BURST_MAX];
    bool sent[SERVICE_BURST_MAX];
    receive(dp, requests, 2);
    datapath_lend(dp, replies, 1);
    replies[0] = in_place(requests, 1, 1400, replies[0].spare);
    datapath_tx_burst(dp, replies, 1, sent);
    for (unsigned i = 0; i < 100; i++) {
        CHECK(datapath_lend(dp, replies, 2) == 2);
        replies[0] = in_spare(1, 100 + i, replies[0]);
        replies[1] = in_spare(1, 1400, replies[1]);
        datapath_tx_burst(dp, replies, 2, sent);
        CHECK(sent[0] && sent[1]);
        check_sent(3 + 2 * i, 'b', 100 + i);
        check_sent(4 + 2 * i, 'b', 1400);
    }
    datapath_release(dp);
    close_fake(dp);
}

/* Replies removed between lend and send (program/admission.h): the others are sent from the frames
 * that they were written to, although their places in the list have changed. */
static void test_fewer_than_lent(unsigned room)
{
    struct datapath *dp = open_fake(1000, true);
    struct request requests[SERVICE_BURST_MAX];
    struct reply replies[SERVICE_BURST_MAX];
    bool sent[SERVICE_BURST_MAX];
    for (unsigned turn = 0; turn < 3; turn++) {
        fake()->tx_room = room;
        fake()->nb_sent = 0;
        receive(dp, requests, 3);
        CHECK(datapath_lend(dp, replies, 64) == 64);
        replies[0] = in_place(requests, 1, 10, replies[0].spare);
        replies[1] = in_place(requests, 2, 1400, replies[3].spare);
        replies[2] = in_spare(2, 1400, replies[4]);
        replies[3] = in_spare(2, 9, replies[9]);
        datapath_tx_burst(dp, replies, 4, sent);
        for (unsigned i = 0; i < 4; i++)
            CHECK(sent[i] == (i + 2 < room));
        if (room >= 6) {
            check_sent(2, 'B', 10);
            check_sent(3, 'C', 1400);
            check_sent(4, 'c', 1400);
            check_sent(5, 'c', 9);
        }
        datapath_release(dp);
    }
    close_fake(dp);
}

/* Requests beyond a burst are shown with lengths that a datagram may have. */
static void test_ahead(void)
{
    struct datapath *dp = open_fake(1000, true);
    struct request next[SERVICE_BURST_MAX];
    static const uint32_t lens[] = {42, 43, 41, 0, 1514, 1515, UINT32_MAX};
    static const uint32_t expected[] = {0, 1, 0, 0, 1472, 1472, 1472};
    CHECK(datapath_ahead(dp, next, 64) == 0);
    memcpy(fake()->ahead_len, lens, sizeof(lens));
    fake()->nb_ahead = 7;
    CHECK(datapath_ahead(dp, next, 64) == 7);
    for (unsigned i = 0; i < 7; i++)
        CHECK(next[i].len == expected[i] && next[i].data != NULL);
    fake()->nb_ahead = 7;
    CHECK(datapath_ahead(dp, next, 3) == 3);
    close_fake(dp);
}

/* The wire accepts `room` frames of two answers, three replies in place and one in a spare. */
static void test_wire_full(unsigned room)
{
    struct datapath *dp = open_fake(1000, true);
    struct request requests[SERVICE_BURST_MAX];
    struct reply replies[SERVICE_BURST_MAX];
    bool sent[SERVICE_BURST_MAX];
    fake()->tx_room = room;
    receive(dp, requests, 3);
    datapath_lend(dp, replies, 64);
    for (unsigned i = 0; i < 3; i++)
        replies[i] = in_place(requests, i, 10, replies[i].spare);
    replies[3] = in_spare(2, 10, replies[3]);
    datapath_tx_burst(dp, replies, 4, sent);
    for (unsigned i = 0; i < 4; i++)
        CHECK(sent[i] == (2 + i < room));
    CHECK(fake()->nb_sent == (room < 6 ? room : 6));
    datapath_release(dp);
    CHECK(fake()->nb_out == (room < 6 ? 64 : 63));
    fake()->tx_room = 10;
    receive(dp, requests, 1);
    datapath_lend(dp, replies, 64);
    datapath_tx_burst(dp, replies, 0, sent);
    datapath_release(dp);
    CHECK(fake()->nb_out == 64);
    close_fake(dp);
}

/* No frame can be allocated: a reply that needs one is lost, and is reported as not sent. */
static void test_no_spares(unsigned nb_alloc)
{
    struct datapath *dp = open_fake(nb_alloc, true);
    struct request requests[SERVICE_BURST_MAX];
    struct reply replies[SERVICE_BURST_MAX];
    bool sent[SERVICE_BURST_MAX];
    receive(dp, requests, 1);
    unsigned nb_left = nb_alloc;
    CHECK(datapath_lend(dp, replies, 64) == (nb_left > 0 ? nb_left : 1));
    replies[0] = in_place(requests, 0, 1400, replies[0].spare);
    datapath_tx_burst(dp, replies, 1, sent);
    CHECK(sent[0]);
    for (unsigned i = 0; i < 4; i++) {
        CHECK(datapath_lend(dp, replies, 64) == (nb_left > 0 ? nb_left : 1));
        replies[0] = in_spare(0, 1400, replies[0]);
        datapath_tx_burst(dp, replies, 1, sent);
        CHECK(sent[0] == (nb_left > 0));
        nb_left -= nb_left > 0;
    }
    datapath_release(dp);
    close_fake(dp);
}

static void test_idle_sleeps(bool poll)
{
    struct datapath *dp = open_fake(1000, poll);
    struct request requests[SERVICE_BURST_MAX];
    struct datapath_stats stats;
    for (unsigned i = 0; i < 1000; i++)
        CHECK(datapath_rx_burst(dp, requests, 64) == 0);
    CHECK(fake()->nb_waits == (poll ? 0 : 1000)); /* the window is still 0 (polling.h) */
    receive(dp, requests, 1);
    datapath_release(dp);
    CHECK(datapath_rx_burst(dp, requests, 64) == 0); /* ends the busy turn */
    datapath_stats(dp, &stats);
    CHECK(stats.nb_empty_rx > 1 && stats.busy_cycles > 0 && stats.empty_cycles > 0);
    close_fake(dp);
}

static void test_addresses_refused(void)
{
    static const char *const refused[] = {"\xff\xff\x7f\0\0\1", "\xff\xff\0\0\0\0",
                                          "\xff\xff\xe0\0\0\1", "\xff\xff\xff\xff\xff\xff",
                                          "\0\0\x0a\0\0\2"};
    struct datapath_config config = {.listen = {.port = BED_PORT}};
    struct datapath *dp;
    for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        memcpy(config.listen.addr + 10, refused[i], 6);
        CHECK(datapath_open(&dp, &config) != NULL);
    }
    memcpy(config.listen.addr + 10, "\xff\xff\x0a\0\0\2", 6);
    fake()->error = "no wire";
    CHECK(strcmp(datapath_open(&dp, &config), "no wire") == 0);
    config.listen.port = 0;
    CHECK(strcmp(datapath_open(&dp, &config), "no wire") != 0);
}

int main(void)
{
    test_replies_and_answers();
    test_more();
    for (unsigned room = 0; room <= 7; room++)
        test_wire_full(room);
    for (unsigned room = 0; room <= 7; room++)
        test_fewer_than_lent(room);
    test_ahead();
    for (unsigned nb_alloc = 0; nb_alloc <= 3; nb_alloc++)
        test_no_spares(nb_alloc);
    test_idle_sleeps(false);
    test_idle_sleeps(true);
    test_addresses_refused();
    return 0;
}
