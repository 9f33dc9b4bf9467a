/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The port over frames, on a wire in memory: an independent parser finds every sent frame valid; a
 * received frame is passed on only if all of it is valid.
 */
#include <string.h>

#include "../check.h"
#include "fake_wire.h"
#include "port.h"

#define FLOWS 4u
#define TARGET_PORT 11211u
#define HEAD 42u

static const uint8_t ours[6] = {2, 0, 0, 0, 0, 1}, target_mac[6] = {2, 0, 0, 0, 0, 9};
static const uint8_t our_address[4] = {10, 0, 0, 1}, target_address[4] = {10, 0, 0, 2};
static uint32_t port_base = 20000; /* if none is given */
static struct port *port;
static uint8_t frame[WIRE_FRAME_BYTES_MAX + 64];

static void begin(bool has_mac, bool checksums)
{
    struct port_config config = {.target = "10.0.0.2:11211",
                                 .nb_flows = FLOWS,
                                 .source_port = port_base == 20000 ? 0 : port_base,
                                 .request_bytes = 100,
                                 .reply_bytes = 80,
                                 .window = 64};

    fake_reset();
    memcpy(config.frames.source, our_address, 4);
    memcpy(config.frames.target_mac, target_mac, 6);
    config.frames.has_target_mac = has_mac;
    config.frames.checksums = checksums;
    CHECK(port_open(&port, &config) == NULL);
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

/* RFC 1071, byte by byte: bytes at odd offsets count once, at even offsets 256 times. */
static uint32_t sum(const uint8_t *data, uint32_t len, uint32_t total)
{
    for (uint32_t i = 0; i < len; i++)
        total += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
    while (total > 0xffff)
        total = (total & 0xffff) + (total >> 16);
    return total;
}

static uint32_t udp_sum(const uint8_t *ip, uint32_t udp_bytes)
{
    return sum(ip + 20, udp_bytes, sum(ip + 12, 8, 17 + udp_bytes));
}

/* Set the checksums again after other changes. */
static void seal(bool checksums)
{
    uint32_t value;

    put16(frame + 24, 0);
    put16(frame + 24, ~sum(frame + 14, 20, 0) & 0xffff);
    put16(frame + 40, 0);
    if (!checksums)
        return;
    value = ~udp_sum(frame + 14, get16(frame + 38)) & 0xffff;
    put16(frame + 40, value == 0 ? 0xffff : value);
}

/* Write a valid reply to a flow, with `bytes` bytes of payload that count up. Returns the frame's
 * length. */
static uint32_t reply_make(uint32_t flow, uint32_t bytes, bool checksums)
{
    memset(frame, 0, HEAD);
    memcpy(frame, ours, 6);
    memcpy(frame + 6, target_mac, 6);
    put16(frame + 12, 0x0800);
    frame[14] = 0x45;
    put16(frame + 16, 28 + bytes);
    frame[22] = 64;
    frame[23] = 17;
    memcpy(frame + 26, target_address, 4);
    memcpy(frame + 30, our_address, 4);
    put16(frame + 34, TARGET_PORT);
    put16(frame + 36, port_base + flow);
    put16(frame + 38, 8 + bytes);
    for (uint32_t i = 0; i < bytes; i++)
        frame[HEAD + i] = (uint8_t)(i + 1);
    seal(checksums);
    return HEAD + bytes;
}

static uint64_t malformed(void)
{
    struct port_stats stats;

    port_stats(port, &stats);
    return stats.nb_malformed;
}

/* Return how many datagrams the port passes on for the current frame. */
static unsigned taken(uint32_t len)
{
    struct datagram replies[PORT_BURST_MAX];
    bool round = false;

    fake_put(frame, len);
    return port_rx_burst(port, replies, PORT_BURST_MAX, &round);
}

/* Check that the current frame is passed over, and is counted. */
static void refused(uint32_t len)
{
    uint64_t before = malformed();

    CHECK(taken(len) == 0);
    CHECK(malformed() == before + 1);
}

static void a_request_is_sound(bool checksums)
{
    struct datagram requests[FLOWS];

    begin(true, checksums);
    CHECK(port_lend(port, requests, FLOWS) == FLOWS);
    for (uint32_t i = 0; i < FLOWS; i++) {
        requests[i].flow = i;
        requests[i].len = 17 + i; /* odd and even */
        memset(requests[i].data, 'a' + (int)i, requests[i].len);
    }
    port_tx_burst(port, requests, FLOWS);
    CHECK(fake.nb_out == FLOWS);
    for (uint32_t i = 0; i < FLOWS; i++) {
        const uint8_t *out = fake.out[i].data;

        CHECK(fake.out[i].len == HEAD + 17 + i);
        CHECK(memcmp(out, target_mac, 6) == 0 && memcmp(out + 6, ours, 6) == 0);
        CHECK(get16(out + 12) == 0x0800 && out[14] == 0x45 && get16(out + 16) == 45 + i);
        CHECK(get16(out + 20) == 0x4000 && out[22] == 64 && out[23] == 17);
        CHECK(sum(out + 14, 20, 0) == 0xffff);
        CHECK(memcmp(out + 26, our_address, 4) == 0 && memcmp(out + 30, target_address, 4) == 0);
        CHECK(get16(out + 34) == port_base + i && get16(out + 36) == TARGET_PORT);
        CHECK(get16(out + 38) == 25 + i);
        CHECK(checksums ? udp_sum(out + 14, 25 + i) == 0xffff : get16(out + 40) == 0);
        for (uint32_t at = 0; at < 17 + i; at++)
            CHECK(out[HEAD + at] == 'a' + i);
    }
    port_close(port);
}

/* A checksum that is calculated as 0 is sent as 0xffff: two bytes of payload cause it. */
static void a_checksum_of_zero_is_not_sent(void)
{
    struct datagram request;
    uint32_t rest;

    begin(true, true);
    CHECK(port_lend(port, &request, 1) == 1);
    request.flow = 0;
    request.len = 2;
    memset(request.data, 0, 2);
    port_tx_burst(port, &request, 1);
    rest = get16(fake.out[0].data + 40);
    CHECK(port_lend(port, &request, 1) == 1);
    request.flow = 0;
    request.len = 2;
    put16(request.data, rest);
    port_tx_burst(port, &request, 1);
    CHECK(get16(fake.out[1].data + 40) == 0xffff);
    port_close(port);
}

static void a_reply_is_handed_on(bool checksums)
{
    struct datagram replies[PORT_BURST_MAX];
    bool round = false;

    begin(true, checksums);
    for (uint32_t flow = 0; flow < FLOWS; flow++)
        fake_put(frame, reply_make(flow, 9 + flow, checksums));
    CHECK(port_rx_burst(port, replies, PORT_BURST_MAX, &round) == FLOWS && round);
    for (uint32_t i = 0; i < FLOWS; i++) {
        CHECK(replies[i].flow == i && replies[i].len == 9 + i);
        CHECK(replies[i].data == fake.in[i].data + HEAD && replies[i].data[0] == 1);
    }
    CHECK(fake.nb_returned == 0); /* the caller still owns them */
    round = false;
    CHECK(port_rx_burst(port, replies, PORT_BURST_MAX, &round) == 0 && round);
    CHECK(fake.nb_returned == FLOWS);
    CHECK(taken(reply_make(0, 0, checksums)) == 1);      /* empty, but valid */
    CHECK(taken(reply_make(0, 1, checksums) + 17) == 1); /* padded to Ethernet's minimum */
    CHECK(malformed() == 0);
    port_close(port);
}

static void a_long_reply_shows_as_too_long(void)
{
    struct datagram reply;
    bool round;

    begin(true, false);
    fake_put(frame, reply_make(1, 500, false));
    CHECK(port_rx_burst(port, &reply, 1, &round) == 1 && reply.len == 81);
    port_close(port);
}

/* One wrong field at a time, with right checksums, so that only the field is refused. */
static void fields_count(void)
{
    static const struct {
        uint8_t at, value;
    } fields[] = {
        {0, 3},     {5, 2},     {12, 0x86}, {13, 0xdd}, /* another station; other ethertypes */
        {12, 0x81},                                     /* VLAN */
        {14, 0x44}, {14, 0x46}, {14, 0x65},             /* IHL; version */
        {16, 0xff}, {17, 27},   {17, 19},               /* total length */
        {20, 0x20}, {20, 0x80}, {20, 1},    {21, 1},    /* fragments */
        {22, 0},    {23, 6},                            /* TTL; protocol */
        {26, 11},   {29, 3},    {30, 11},   {33, 255},  /* addresses */
        {34, 0},    {35, 0},    {36, 0},    {37, 0x1f}, /* ports: 20000 is 0x4e20 */
        {37, 0x24},                                     /* the flow behind the last */
        {38, 0xff}, {39, 7},    {39, 8},    {39, 18},   /* UDP length */
    };

    begin(true, false);
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        uint32_t len = reply_make(0, 9, false);

        CHECK(frame[fields[i].at] != fields[i].value);
        frame[fields[i].at] = fields[i].value;
        seal(false);
        refused(len);
    }
    CHECK(taken(reply_make(0, 9, false)) == 1); /* without a change it is accepted */
    port_close(port);
}

static void every_length_is_survived(void)
{
    begin(true, false);
    for (uint32_t len = 0; len < HEAD + 9; len++) {
        reply_make(0, 9, false);
        refused(len);
    }
    port_close(port);
}

static void sums_count(void)
{
    uint32_t len = reply_make(0, 9, false);

    begin(true, true);
    refused(len); /* no UDP checksum, though required */
    for (uint32_t at = 14; at < len; at++) {
        reply_make(0, 9, true);
        frame[at] ^= 0x10; /* a flipped bit that no field's check may miss */
        refused(len);
    }
    reply_make(0, 9, true);
    CHECK(taken(len) == 1);
    port_close(port);
    begin(true, false);
    len = reply_make(0, 9, true);
    CHECK(taken(len) == 1); /* not required, but right */
    frame[len - 1] ^= 1;
    refused(len);
    reply_make(0, 9, false);
    frame[25] ^= 1;
    refused(len); /* the IPv4 header's is always required */
    port_close(port);
}

static void rooms_run_short(void)
{
    struct datagram requests[PORT_BURST_MAX];

    begin(true, false);
    fake.nb_rooms = 3;
    CHECK(port_lend(port, requests, PORT_BURST_MAX) == 3);
    requests[0].flow = requests[0].len = 1;
    requests[0].data[0] = 'x';
    port_tx_burst(port, requests, 1);
    CHECK(fake.nb_out == 1 && port_lend(port, requests, PORT_BURST_MAX) == 2);
    fake.nb_rooms = 0;
    CHECK(port_lend(port, requests, PORT_BURST_MAX) == 0);
    fake.nb_rooms = 8;
    fake.room_bytes = HEAD + 99; /* one byte less than the longest request */
    CHECK(port_lend(port, requests, PORT_BURST_MAX) == 0);
    port_close(port);
}

/* An endless stream of frames does not keep a round from ending. */
static void a_round_ends(void)
{
    struct datagram replies[PORT_BURST_MAX];
    bool round = false;
    unsigned nb = 0;

    begin(true, false);
    for (; nb < 4096 && !round; nb++) {
        fake.nb_in = fake.next_in = fake.nb_returned = 0;
        for (unsigned i = 0; i < PORT_BURST_MAX; i++)
            fake_put(frame, reply_make(i % FLOWS, 9, false));
        CHECK(port_rx_burst(port, replies, PORT_BURST_MAX, &round) == PORT_BURST_MAX);
        fake.nb_returned = 0;
        wire_return(NULL);
    }
    CHECK(round && nb == 65536 / PORT_BURST_MAX);
    port_close(port);
}

int main(void)
{
    a_request_is_sound(false);
    a_request_is_sound(true);
    a_checksum_of_zero_is_not_sent();
    a_reply_is_handed_on(false);
    a_reply_is_handed_on(true);
    a_long_reply_shows_as_too_long();
    fields_count();
    every_length_is_survived();
    sums_count();
    rooms_run_short();
    a_round_ends();
    port_base = 9000;
    a_request_is_sound(false);
    a_reply_is_handed_on(false);
    port_base = 65536 - FLOWS; /* the last possible base */
    a_request_is_sound(true);
    a_reply_is_handed_on(true);
    fake_reset();
    return 0;
}
