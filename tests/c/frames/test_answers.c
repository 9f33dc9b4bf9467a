/* SPDX-License-Identifier: BSD-3-Clause */
/* ARP and ICMP: each answer byte by byte, and frames that get no answer. */
#include <string.h>

#include "bed.h"
#include "../check.h"

/* Whether this frame is answered; bed_receive checks the answer itself. */
static bool is_answered(const struct net *net, const struct bed_frame *asked,
                        enum drop_reason expected)
{
    struct bed_frame copy = *asked;
    struct frame frame = {.data = copy.bytes, .len = copy.len};
    struct request request;
    bool answer;
    CHECK(bed_receive(net, asked->bytes, asked->len, 0) == expected);
    CHECK(net_receive(net, &frame, &request, &answer) == expected);
    return answer;
}

static bool is_answered_spoiled(const struct net *net, const struct bed_frame *sound, uint32_t at,
                                const void *bytes, uint32_t nb, enum drop_reason expected)
{
    struct bed_frame frame = *sound;
    memcpy(frame.bytes + at, bytes, nb);
    return is_answered(net, &frame, expected);
}

static void test_arp_answer(const struct net *net)
{
    static const uint8_t expected[42] = {2,  0, 0, 0, 0, 1, 2, 0, 0, 0, 0,  2, 8, 6,
                                         0,  1, 8, 0, 6, 4, 0, 2, 2, 0, 0,  0, 0, 2,
                                         10, 0, 0, 2, 2, 0, 0, 0, 0, 1, 10, 0, 0, 1};
    struct bed_frame asked;
    struct request request;
    bool answer;
    bed_arp(&asked);
    asked.len = 60; /* padded by the NIC; the answer must not repeat the padding */
    memset(asked.bytes + 42, 0xee, 18);
    struct frame frame = {.data = asked.bytes, .len = asked.len};
    CHECK(net_receive(net, &frame, &request, &answer) == DROP_ARP && answer);
    CHECK(frame.len == 42 && memcmp(frame.data, expected, 42) == 0);
}

static void test_arp(const struct net *net)
{
    struct bed_frame arp;
    bed_arp(&arp);
    CHECK(is_answered(net, &arp, DROP_ARP));
    memcpy(arp.bytes, bed_server_mac, 6);
    CHECK(is_answered(net, &arp, DROP_ARP)); /* a unicast poll (RFC 1122, 2.3.2.1) */
    CHECK(is_answered_spoiled(net, &arp, 28, "\0\0\0\0", 4, DROP_ARP)); /* a probe (RFC 5227) */

    CHECK(!is_answered_spoiled(net, &arp, 14, "\0\6", 2, DROP_ARP));       /* not Ethernet */
    CHECK(!is_answered_spoiled(net, &arp, 16, "\x86\xdd", 2, DROP_ARP));   /* not IPv4 */
    CHECK(!is_answered_spoiled(net, &arp, 18, "\5", 1, DROP_ARP));         /* wrong sizes */
    CHECK(!is_answered_spoiled(net, &arp, 19, "\x10", 1, DROP_ARP));       /* wrong sizes */
    CHECK(!is_answered_spoiled(net, &arp, 20, "\0\2", 2, DROP_ARP));       /* a reply */
    CHECK(!is_answered_spoiled(net, &arp, 20, "\0\0", 2, DROP_ARP));       /* no operation */
    CHECK(!is_answered_spoiled(net, &arp, 38, "\x0a\0\0\3", 4, DROP_ARP)); /* another address */
    CHECK(
        !is_answered_spoiled(net, &arp, 28, bed_server_ip, 4, DROP_ARP)); /* gratuitous: spoofed */
    CHECK(!is_answered_spoiled(net, &arp, 38, bed_client_ip, 4, DROP_ARP)); /* gratuitous */
    CHECK(!is_answered_spoiled(net, &arp, 28, "\xe0\0\0\1", 4, DROP_ARP));  /* from a group */
    CHECK(!is_answered_spoiled(net, &arp, 28, "\x7f\0\0\1", 4, DROP_ARP));  /* from loopback */
    CHECK(!is_answered_spoiled(net, &arp, 22, "\xff\xff\xff\xff\xff\xff", 6, DROP_ARP));
    CHECK(!is_answered_spoiled(net, &arp, 22, "\1\0\x5e\0\0\1", 6, DROP_ARP));
    CHECK(!is_answered_spoiled(net, &arp, 22, "\0\0\0\0\0\0", 6, DROP_ARP));
    CHECK(!is_answered_spoiled(net, &arp, 22, bed_server_mac, 6, DROP_ARP));
    CHECK(!is_answered_spoiled(net, &arp, 6, "\xff\xff\xff\xff\xff\xff", 6, DROP_MAC));
    CHECK(!is_answered_spoiled(net, &arp, 0, "\2\0\0\0\0\3", 6, DROP_MAC));
    CHECK(!is_answered_spoiled(net, &arp, 0, "\1\0\x5e\0\0\1", 6, DROP_MAC));
    for (arp.len = 14; arp.len < 42; arp.len++)
        CHECK(!is_answered(net, &arp, DROP_FRAME));
}

static void test_echo_answer(const struct net *net)
{
    struct bed_frame asked;
    struct request request;
    bool answer;
    bed_echo(&asked, "abcdefg", 7);
    asked.bytes[15] = 0x10;
    bed_seal_ip(&asked);
    asked.len += 11;
    struct frame frame = {.data = asked.bytes, .len = asked.len};
    CHECK(net_receive(net, &frame, &request, &answer) == DROP_ICMP && answer);
    CHECK(frame.len == 49 && memcmp(frame.data, bed_client_mac, 6) == 0);
    CHECK(frame.data[34] == 0 && frame.data[35] == 0 && frame.data[22] == 64);
    CHECK(memcmp(frame.data + 38,
                 "\x56\x78\0\x09"
                 "abcdefg",
                 11) == 0);
}

static bool is_echo_answered(const struct net *net, uint32_t at, const void *bytes, uint32_t nb,
                             enum drop_reason expected)
{
    struct bed_frame frame;
    bed_echo(&frame, "abcdefg", 7);
    memcpy(frame.bytes + at, bytes, nb);
    bed_seal_ip(&frame);
    bed_seal_icmp(&frame);
    return is_answered(net, &frame, expected);
}

static void test_icmp(const struct net *net)
{
    struct bed_frame frame;
    bed_echo(&frame, "", 0);
    CHECK(is_answered(net, &frame, DROP_ICMP));
    bed_echo(&frame, "abcdefg", 7);
    CHECK(!is_answered_spoiled(net, &frame, 36, "\x12\x34", 2, DROP_ICMP)); /* bad checksum */
    CHECK(is_echo_answered(net, 22, "\1", 1, DROP_ICMP));
    CHECK(!is_echo_answered(net, 34, "\0", 1, DROP_ICMP));   /* an echo reply: no loops */
    CHECK(!is_echo_answered(net, 34, "\3", 1, DROP_ICMP));   /* unreachable */
    CHECK(!is_echo_answered(net, 34, "\x0d", 1, DROP_ICMP)); /* time stamp */
    CHECK(!is_echo_answered(net, 35, "\1", 1, DROP_ICMP));   /* a code */
    CHECK(!is_echo_answered(net, 30, "\xe0\0\0\1", 4, DROP_ADDR));
    CHECK(!is_echo_answered(net, 30, "\xff\xff\xff\xff", 4, DROP_ADDR));
    CHECK(!is_echo_answered(net, 26, "\xe0\0\0\1", 4, DROP_ADDR));
    CHECK(!is_echo_answered(net, 26, "\xff\xff\xff\xff", 4, DROP_ADDR));
    CHECK(!is_echo_answered(net, 26, bed_server_ip, 4, DROP_ADDR)); /* our own address: no loops */
    CHECK(!is_echo_answered(net, 0, "\xff\xff\xff\xff\xff\xff", 6, DROP_MAC));
    CHECK(!is_echo_answered(net, 20, "\x20\0", 2, DROP_FRAGMENT));
    bed_echo(&frame, "abcdefg", 7);
    bed_put16(frame.bytes + 16, 27); /* an ICMP header cut short */
    bed_seal_ip(&frame);
    bed_seal_icmp(&frame);
    CHECK(!is_answered(net, &frame, DROP_ICMP));
}

int main(void)
{
    struct net net;
    bed_open(&net);
    test_arp_answer(&net);
    test_arp(&net);
    test_echo_answer(&net);
    test_icmp(&net);
    return 0;
}
