/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP of the port over frames, on a wire in memory: asking, answering, and which answers count. */
#include <string.h>

#include "../check.h"
#include "fake_wire.h"
#include "port.h"

#define ARP_BYTES 42u

static const uint8_t ours[6] = {2, 0, 0, 0, 0, 1}, theirs[6] = {2, 0, 0, 0, 0, 9};
static const uint8_t our_address[4] = {10, 0, 0, 1}, target_address[4] = {10, 0, 0, 2};
static struct port *port;
static uint8_t frame[64];

static void begin(void)
{
    struct port_config config = {
        .target = "10.0.0.2:11211", .nb_flows = 1, .request_bytes = 100, .reply_bytes = 80};

    fake_reset();
    memcpy(config.frames.source, our_address, 4);
    CHECK(port_open(&port, &config) == NULL);
}

static uint32_t arp_make(uint8_t op, const uint8_t *from_mac, const uint8_t *from,
                         const uint8_t *asked)
{
    static const uint8_t kind[8] = {0x08, 0x06, 0, 1, 0x08, 0, 6, 4};

    memset(frame, 0, sizeof(frame));
    memcpy(frame, ours, 6);
    memcpy(frame + 6, from_mac, 6);
    memcpy(frame + 12, kind, sizeof(kind));
    frame[21] = op;
    memcpy(frame + 22, from_mac, 6);
    memcpy(frame + 28, from, 4);
    memcpy(frame + 38, asked, 4);
    return ARP_BYTES;
}

static void turn(void)
{
    struct datagram replies[PORT_BURST_MAX];
    bool round = false;

    CHECK(port_rx_burst(port, replies, PORT_BURST_MAX, &round) == 0 && round);
}

static bool may_send(void)
{
    struct datagram request;

    return port_lend(port, &request, 1) == 1;
}

static uint64_t arp_count(void)
{
    struct port_stats stats;

    port_stats(port, &stats);
    return stats.nb_arp;
}

static void it_asks_and_takes_the_answer(void)
{
    static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct datagram request;

    begin();
    fake.up = false;
    turn();
    CHECK(fake.nb_out == 0 && !may_send()); /* the link is down */
    fake.up = true;
    for (unsigned i = 0; i < 10; i++)
        turn();
    CHECK(fake.nb_out == 1 && !may_send()); /* once, not every turn */
    CHECK(fake.out[0].len == ARP_BYTES && memcmp(fake.out[0].data, broadcast, 6) == 0);
    CHECK(fake.out[0].data[21] == 1 && memcmp(fake.out[0].data + 22, ours, 6) == 0);
    CHECK(memcmp(fake.out[0].data + 28, our_address, 4) == 0);
    CHECK(memcmp(fake.out[0].data + 38, target_address, 4) == 0);
    fake_put(frame, arp_make(2, theirs, target_address, our_address));
    turn();
    CHECK(arp_count() == 1);
    CHECK(port_lend(port, &request, 1) == 1);
    request.flow = 0;
    request.len = 1;
    request.data[0] = 'x';
    port_tx_burst(port, &request, 1);
    CHECK(fake.nb_out == 2 && memcmp(fake.out[1].data, theirs, 6) == 0);
    port_close(port);
}

static void a_request_is_answered(void)
{
    static const uint8_t peer[4] = {10, 0, 0, 7}, other[4] = {10, 0, 0, 8};
    const uint8_t *out;

    begin();
    turn();
    CHECK(fake.nb_out == 1);
    fake_put(frame, arp_make(1, theirs, peer, our_address));
    fake_put(frame, arp_make(1, theirs, peer, other)); /* for another address */
    turn();
    CHECK(fake.nb_out == 2 && arp_count() == 2);
    out = fake.out[1].data;
    CHECK(fake.out[1].len == ARP_BYTES && out[21] == 2);
    CHECK(memcmp(out, theirs, 6) == 0 && memcmp(out + 22, ours, 6) == 0);
    CHECK(memcmp(out + 28, our_address, 4) == 0 && memcmp(out + 32, theirs, 6) == 0);
    CHECK(memcmp(out + 38, peer, 4) == 0);
    CHECK(!may_send()); /* a request is no answer */
    port_close(port);
}

static void only_answers_are_believed(void)
{
    static const uint8_t group[6] = {3, 0, 0, 0, 0, 9}, zero[6], other[4] = {10, 0, 0, 8};

    begin();
    turn();
    fake_put(frame, arp_make(2, theirs, other, our_address));             /* from another address */
    fake_put(frame, arp_make(2, theirs, target_address, other));          /* to another address */
    fake_put(frame, arp_make(2, theirs, target_address, target_address)); /* gratuitous */
    fake_put(frame, arp_make(2, group, target_address, our_address));
    fake_put(frame, arp_make(2, zero, target_address, our_address));
    for (uint32_t at = 14; at < 22; at++) { /* another hardware, protocol, length or operation */
        arp_make(2, theirs, target_address, our_address);
        frame[at] ^= 0x20;
        fake_put(frame, ARP_BYTES);
    }
    for (uint32_t len = 14; len < ARP_BYTES; len++) {
        arp_make(2, theirs, target_address, our_address);
        fake_put(frame, len);
    }
    turn();
    CHECK(!may_send());
    fake_put(frame, arp_make(2, theirs, target_address, our_address));
    turn();
    CHECK(may_send());
    port_close(port);
}

static void a_returned_link_is_resolved_again(void)
{
    begin();
    turn();
    fake_put(frame, arp_make(2, theirs, target_address, our_address));
    turn();
    CHECK(may_send());
    fake.up = false;
    for (unsigned i = 0; i < 4096; i++)
        turn();
    fake.up = true;
    turn();
    CHECK(fake.nb_out == 2 && !may_send());
    port_close(port);
}

int main(void)
{
    it_asks_and_takes_the_answer();
    a_request_is_answered();
    only_answers_are_believed();
    a_returned_link_is_resolved_again();
    fake_reset();
    return 0;
}
