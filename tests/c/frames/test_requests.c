/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UDP requests and other frames: a valid frame, one or two edits, and the drop reason that must
 * result.
 */
#include <string.h>

#include "bed.h"
#include "../check.h"

/* Which checksums are set again after the edits. */
enum seal { AS_IS, IP, UDP, BOTH };

struct edit {
    uint32_t at;
    const char *hex;
};

struct spoiled {
    const char *what;
    enum drop_reason drop;
    enum seal seal;
    struct edit edits[2];
    int32_t len; /* of the frame; 0: unchanged, below 0: bytes of padding to add */
    uint32_t vouched;
};

/* Offsets: 0 to, 6 from, 12 type; IPv4 at 14 (16 total, 20 fragment, 22 TTL, 23 protocol, 24
 * checksum, 26 source, 30 destination); UDP at 34 (36 destination, 38 length, 40 checksum). The
 * payload is 20 bytes: total 48, UDP length 28, frame 62. */
static const struct spoiled table[] = {
    {"a valid request", DROP_NONE, AS_IS, {{0}}, 0, 0},
    {"with a UDP checksum", DROP_NONE, UDP, {{0}}, 0, 0},
    {"with padding", DROP_NONE, UDP, {{0}}, -1, 0},
    {"with much padding", DROP_NONE, AS_IS, {{0}}, -900, 0},
    {"any type of service", DROP_NONE, IP, {{15, "fe"}}, 0, 0},
    {"don't fragment", DROP_NONE, IP, {{20, "4000"}}, 0, 0},
    {"the reserved bit", DROP_NONE, IP, {{20, "8000"}}, 0, 0},
    {"TTL 1", DROP_NONE, IP, {{22, "01"}}, 0, 0},
    {"no payload", DROP_NONE, IP, {{16, "001c"}, {38, "0008"}}, 0, 0},
    {"no payload in a runt", DROP_NONE, IP, {{16, "001c"}, {38, "0008"}}, 42, 0},
    {"from 10.0.0.255: can be a host", DROP_NONE, IP, {{26, "0a0000ff"}}, 0, 0},
    {"from 223.255.255.255", DROP_NONE, IP, {{26, "dfffffff"}}, 0, 0},
    {"from 1.0.0.0", DROP_NONE, IP, {{26, "01000000"}}, 0, 0},
    {"from 128.0.0.0", DROP_NONE, IP, {{26, "80000000"}}, 0, 0},
    {"1,500 bytes of IP", DROP_NONE, BOTH, {{16, "05dc"}, {38, "05c8"}}, 1514, 0},

    {"13 bytes", DROP_FRAME, AS_IS, {{0}}, 13, 0},
    {"Ethernet alone", DROP_FRAME, AS_IS, {{0}}, 14, 0},
    {"half an IPv4 header", DROP_FRAME, AS_IS, {{0}}, 33, 0},
    {"1,515 bytes", DROP_FRAME, AS_IS, {{0}}, 1515, 0},
    {"to another MAC", DROP_MAC, AS_IS, {{0, "020000000003"}}, 0, 0},
    {"broadcast", DROP_MAC, AS_IS, {{0, "ffffffffffff"}}, 0, 0},
    {"multicast", DROP_MAC, AS_IS, {{0, "01005e000001"}}, 0, 0},
    {"from a group address", DROP_MAC, AS_IS, {{6, "030000000001"}}, 0, 0},
    {"VLAN", DROP_ETHERTYPE, AS_IS, {{12, "8100"}}, 0, 0},
    {"IPv6", DROP_ETHERTYPE, AS_IS, {{12, "86dd"}}, 0, 0},
    {"802.3 with a length", DROP_ETHERTYPE, AS_IS, {{12, "0030"}}, 0, 0},

    {"version 6", DROP_IP, IP, {{14, "65"}}, 0, 0},
    {"version 0", DROP_IP, IP, {{14, "05"}}, 0, 0},
    {"IHL 4", DROP_IP, IP, {{14, "44"}}, 0, 0},
    {"IHL 0", DROP_IP, IP, {{14, "40"}}, 0, 0},
    {"IHL 15, past the frame", DROP_IP, IP, {{14, "4f"}}, 0, 0},
    {"options", DROP_IP, AS_IS, {{14, "46"}, {24, "dec3"}}, 0, 0},
    {"total past the frame by 1", DROP_IP, IP, {{16, "0031"}}, 0, 0},
    {"total 65535", DROP_IP, IP, {{16, "ffff"}}, 0, 0},
    {"total shorter than the header", DROP_IP, IP, {{16, "0013"}}, 0, 0},
    {"total 0", DROP_IP, IP, {{16, "0000"}}, 0, 0},
    {"cut behind the IPv4 header", DROP_IP, AS_IS, {{0}}, 34, 0},
    {"cut in the UDP header", DROP_IP, AS_IS, {{0}}, 41, 0},
    {"bad header checksum", DROP_IP, AS_IS, {{22, "3e"}}, 0, 0},
    {"TTL 0", DROP_IP, IP, {{22, "00"}}, 0, 0},
    {"first fragment", DROP_FRAGMENT, IP, {{20, "2000"}}, 0, 0},
    {"later fragment", DROP_FRAGMENT, IP, {{20, "0001"}}, 0, 0},
    {"last offset", DROP_FRAGMENT, IP, {{20, "1fff"}}, 0, 0},
    {"to another address", DROP_ADDR, IP, {{30, "0a000003"}}, 0, 0},
    {"to 255.255.255.255", DROP_ADDR, IP, {{30, "ffffffff"}}, 0, 0},
    {"to 224.0.0.1", DROP_ADDR, IP, {{30, "e0000001"}}, 0, 0},
    {"from the server itself", DROP_ADDR, IP, {{26, "0a000002"}}, 0, 0},
    {"from 255.255.255.255", DROP_ADDR, IP, {{26, "ffffffff"}}, 0, 0},
    {"from 224.0.0.1", DROP_ADDR, IP, {{26, "e0000001"}}, 0, 0},
    {"from 240.0.0.1", DROP_ADDR, IP, {{26, "f0000001"}}, 0, 0},
    {"from 0.0.0.0", DROP_ADDR, IP, {{26, "00000000"}}, 0, 0},
    {"from 0.1.2.3", DROP_ADDR, IP, {{26, "00010203"}}, 0, 0},
    {"from 127.0.0.1", DROP_ADDR, IP, {{26, "7f000001"}}, 0, 0},
    {"TCP", DROP_PROTOCOL, IP, {{23, "06"}}, 0, 0},
    {"protocol 255", DROP_PROTOCOL, IP, {{23, "ff"}}, 0, 0},

    {"UDP length 7", DROP_UDP, AS_IS, {{38, "0007"}}, 0, 0},
    {"UDP length 0", DROP_UDP, AS_IS, {{38, "0000"}}, 0, 0},
    {"UDP past IP's", DROP_UDP, AS_IS, {{38, "001d"}}, 0, 0},
    {"UDP past IP's, within padding", DROP_UDP, AS_IS, {{38, "001d"}}, -1, 0},
    {"UDP short of IP's", DROP_UDP, AS_IS, {{38, "001b"}}, 0, 0},
    {"no room for a UDP header", DROP_UDP, IP, {{16, "001b"}, {38, "0007"}}, 0, 0},
    {"UDP length with no room for it", DROP_UDP, IP, {{16, "0014"}, {38, "0008"}}, 0, 0},
    {"wrong UDP checksum", DROP_UDP, AS_IS, {{40, "1234"}}, 0, 0},
    {"to another port", DROP_PORT, AS_IS, {{36, "2bcc"}}, 0, 0},
    {"from port 0", DROP_PORT, AS_IS, {{34, "0000"}}, 0, 0},

    {"vouched: header checksum", DROP_NONE, AS_IS, {{22, "3e"}}, 0, FRAME_IP_GOOD},
    {"vouched: UDP checksum", DROP_NONE, AS_IS, {{40, "1234"}}, 0, FRAME_UDP_GOOD},
    {"vouched: IP, wrong UDP checksum", DROP_UDP, AS_IS, {{40, "1234"}}, 0, FRAME_IP_GOOD},
    {"vouched: UDP, bad IP checksum", DROP_IP, AS_IS, {{22, "3e"}}, 0, FRAME_UDP_GOOD},
    {"vouched: IP, TTL 0", DROP_IP, AS_IS, {{22, "00"}}, 0, FRAME_IP_GOOD},
};

static uint8_t nibble(char digit)
{
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static void apply(const struct edit *edit, struct bed_frame *frame)
{
    for (uint32_t i = 0; edit->hex != NULL && edit->hex[2 * i] != '\0'; i++)
        frame->bytes[edit->at + i] =
            (uint8_t)(nibble(edit->hex[2 * i]) << 4 | nibble(edit->hex[2 * i + 1]));
}

static void test_one(const struct net *net, const struct spoiled *spoiled)
{
    struct bed_frame frame;
    bed_request(&frame, "\0\7\0\0\0\1\0\0get key123\r\n", 20);
    apply(&spoiled->edits[0], &frame);
    apply(&spoiled->edits[1], &frame);
    if (spoiled->len > 0)
        frame.len = (uint32_t)spoiled->len;
    else
        frame.len += (uint32_t)-spoiled->len;
    if (spoiled->seal & IP)
        bed_seal_ip(&frame);
    if (spoiled->seal & UDP)
        bed_seal_udp(&frame);
    enum drop_reason drop = bed_receive(net, frame.bytes, frame.len, spoiled->vouched);
    if (drop != spoiled->drop)
        fprintf(stderr, "%s: reason %d, expected %d\n", spoiled->what, drop, spoiled->drop);
    CHECK(drop == spoiled->drop);
}

/* One changed bit of header or datagram is always detected, for every bit. */
static void test_every_bit_is_covered(const struct net *net)
{
    struct bed_frame frame;
    bed_request(&frame, "\0\7\0\0\0\1\0\0get key123\r\n", 20);
    bed_seal_udp(&frame);
    for (uint32_t bit = 14 * 8; bit < frame.len * 8; bit++) {
        if (bit / 8 == 40 || bit / 8 == 41)
            continue; /* the UDP checksum itself: 0 would mean "none" */
        frame.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK(bed_receive(net, frame.bytes, frame.len, 0) != DROP_NONE);
        frame.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    CHECK(bed_receive(net, frame.bytes, frame.len, 0) == DROP_NONE);
}

int main(void)
{
    struct net net;
    bed_open(&net);
    for (uint32_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        test_one(&net, &table[i]);
    test_every_bit_is_covered(&net);
    return 0;
}
