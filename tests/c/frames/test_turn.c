/* SPDX-License-Identifier: BSD-3-Clause */
/* The headers of a reply: turned in place, and those of its further datagrams. */
#include <string.h>

#include "bed.h"
#include "../check.h"
#include "usual.h"

/* Lengths and checksums are checked by calculation, all other bytes against constants. */
static void check_headers(const uint8_t *frame, uint32_t len, uint32_t nb_payload, bool checksum)
{
    CHECK(len == 42 + nb_payload);
    CHECK(memcmp(frame, bed_client_mac, 6) == 0 && memcmp(frame + 6, bed_server_mac, 6) == 0);
    CHECK(memcmp(frame + 12, "\x08\0\x45\0", 4) == 0);
    CHECK(bed_get16(frame + 16) == 28 + nb_payload);
    CHECK(memcmp(frame + 18, "\0\0\x40\0\x40\x11", 6) == 0);
    CHECK(bed_checksum(0, frame + 14, 20) == 0);
    CHECK(memcmp(frame + 26, bed_server_ip, 4) == 0 && memcmp(frame + 30, bed_client_ip, 4) == 0);
    CHECK(bed_get16(frame + 34) == BED_PORT && bed_get16(frame + 36) == 40000);
    CHECK(bed_get16(frame + 38) == 8 + nb_payload);
    CHECK(checksum ? bed_get16(frame + 40) != 0 && bed_udp_checksum(frame) == 0
                   : bed_get16(frame + 40) == 0);
}

static void test_every_length(const struct net *net, bool checksum)
{
    for (uint32_t nb = 0; nb <= FRAME_BYTES_MAX - 42; nb++) {
        struct bed_frame first, next;
        bed_request(&first, "abcdefgh", 8);
        if (checksum)
            bed_seal_udp(&first);
        for (uint32_t i = 0; i < nb; i++)
            first.bytes[42 + i] = (uint8_t)(i * 7 + nb);
        check_headers(first.bytes, net_turn(net, first.bytes, nb), nb, checksum);
        memset(&next, 0xdd, sizeof(next));
        check_headers(next.bytes, net_continue(net, next.bytes, first.bytes, nb), nb, checksum);
        CHECK(next.bytes[42] == 0xdd && next.bytes[42 + nb] == 0xdd);
    }
}

/* A datagram whose checksum is calculated as 0 is sent with 0xffff: 0 means "none" (RFC 768). */
static void test_zero_becomes_all_ones(const struct net *net)
{
    struct bed_frame frame;
    bed_request(&frame, "\0\0", 2);
    bed_seal_udp(&frame);
    CHECK(net_turn(net, frame.bytes, 2) == 44);
    memcpy(frame.bytes + 42, frame.bytes + 40, 2); /* now the sum of the rest is all ones */
    net_udp_checksum_set(frame.bytes, 10);
    CHECK(bed_get16(frame.bytes + 40) == 0xffff && bed_udp_checksum(frame.bytes) == 0);
}

static void test_source_is_carried_over(const struct net *net)
{
    static const uint8_t mac[6] = {0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54};
    static const uint8_t ip[4] = {223, 254, 253, 252};
    struct bed_frame frame;
    bed_request(&frame, "abc", 3);
    memcpy(frame.bytes + 6, mac, 6);
    memcpy(frame.bytes + 26, ip, 4);
    bed_put16(frame.bytes + 34, 65535);
    bed_seal_ip(&frame);
    CHECK(bed_receive(net, frame.bytes, frame.len, 0) == DROP_NONE);
    CHECK(net_turn(net, frame.bytes, 3) == 45);
    CHECK(memcmp(frame.bytes, mac, 6) == 0 && memcmp(frame.bytes + 30, ip, 4) == 0);
    CHECK(bed_get16(frame.bytes + 36) == 65535 && bed_checksum(0, frame.bytes + 14, 20) == 0);
}

int main(void)
{
    struct net net;
    bed_open(&net);
    test_every_length(&net, false);
    test_every_length(&net, true);
    test_zero_becomes_all_ones(&net);
    test_source_is_carried_over(&net);
    return 0;
}
