/* SPDX-License-Identifier: BSD-3-Clause */
#include "bed.h"

#include <string.h>
#include <sys/mman.h>

#include "../check.h"
#include "usual.h"

#define PAGE_BYTES 4096u

const uint8_t bed_server_mac[6] = {2, 0, 0, 0, 0, 2}, bed_client_mac[6] = {2, 0, 0, 0, 0, 1};
const uint8_t bed_server_ip[4] = {10, 0, 0, 2}, bed_client_ip[4] = {10, 0, 0, 1};

void bed_open(struct net *net)
{
    net_open(net, bed_server_mac, bed_server_ip, BED_PORT);
}

void bed_put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

uint32_t bed_get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

uint16_t bed_checksum(uint32_t sum, const uint8_t *bytes, uint32_t nb)
{
    for (uint32_t i = 0; i < nb; i++)
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
    while (sum > 0xffff)
        sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)~sum;
}

uint16_t bed_udp_checksum(const uint8_t *frame)
{
    uint32_t udp_bytes = bed_get16(frame + 38), sum = 17 + udp_bytes;
    for (uint32_t i = 26; i < 34; i += 2)
        sum += bed_get16(frame + i);
    return bed_checksum(sum, frame + 34, udp_bytes);
}

void bed_seal_ip(struct bed_frame *frame)
{
    bed_put16(frame->bytes + 24, 0);
    bed_put16(frame->bytes + 24, bed_checksum(0, frame->bytes + 14, 20));
}

void bed_seal_udp(struct bed_frame *frame)
{
    bed_put16(frame->bytes + 40, 0);
    uint16_t checksum = bed_udp_checksum(frame->bytes);
    bed_put16(frame->bytes + 40, checksum != 0 ? checksum : 0xffff);
}

void bed_seal_icmp(struct bed_frame *frame)
{
    bed_put16(frame->bytes + 36, 0);
    bed_put16(frame->bytes + 36,
              bed_checksum(0, frame->bytes + 34, bed_get16(frame->bytes + 16) - 20));
}

/* An Ethernet header from the client to the server. */
static void put_ethernet(struct bed_frame *frame, uint32_t type)
{
    memset(frame, 0, sizeof(*frame));
    memcpy(frame->bytes, bed_server_mac, 6);
    memcpy(frame->bytes + 6, bed_client_mac, 6);
    bed_put16(frame->bytes + 12, type);
}

static void put_ipv4(struct bed_frame *frame, uint8_t protocol, uint32_t nb_payload)
{
    uint8_t *ip = frame->bytes + 14;
    put_ethernet(frame, 0x0800);
    ip[0] = 0x45;
    bed_put16(ip + 2, 20 + nb_payload);
    bed_put16(ip + 4, 0x1234);
    ip[8] = 63;
    ip[9] = protocol;
    memcpy(ip + 12, bed_client_ip, 4);
    memcpy(ip + 16, bed_server_ip, 4);
    bed_seal_ip(frame);
    frame->len = 34 + nb_payload;
}

void bed_request(struct bed_frame *frame, const void *payload, uint32_t nb)
{
    put_ipv4(frame, 17, 8 + nb);
    bed_put16(frame->bytes + 34, 40000);
    bed_put16(frame->bytes + 36, BED_PORT);
    bed_put16(frame->bytes + 38, 8 + nb);
    memcpy(frame->bytes + 42, payload, nb);
}

void bed_arp(struct bed_frame *frame)
{
    static const uint8_t ethernet_ipv4_request[8] = {0, 1, 8, 0, 6, 4, 0, 1};
    put_ethernet(frame, 0x0806);
    memset(frame->bytes, 0xff, 6);
    memcpy(frame->bytes + 14, ethernet_ipv4_request, sizeof(ethernet_ipv4_request));
    memcpy(frame->bytes + 22, bed_client_mac, 6);
    memcpy(frame->bytes + 28, bed_client_ip, 4);
    memcpy(frame->bytes + 38, bed_server_ip, 4);
    frame->len = 42;
}

void bed_echo(struct bed_frame *frame, const void *data, uint32_t nb)
{
    put_ipv4(frame, 1, 8 + nb);
    frame->bytes[34] = 8;
    bed_put16(frame->bytes + 38, 0x5678);
    bed_put16(frame->bytes + 40, 9);
    memcpy(frame->bytes + 42, data, nb);
    bed_seal_icmp(frame);
}

bool bed_from_input(struct bed_frame *frame, const uint8_t *data, size_t nb_bytes)
{
    if (nb_bytes < 1 || nb_bytes > BED_ROOM - 8)
        return false;
    memset(frame, 0, sizeof(*frame));
    frame->len = (uint32_t)nb_bytes - 1;
    memcpy(frame->bytes, data + 1, frame->len);
    if (data[0] & 4)
        bed_seal_ip(frame);
    if (data[0] & 8 && bed_get16(frame->bytes + 38) < BED_ROOM - 34)
        bed_seal_udp(frame);
    uint32_t icmp_total = bed_get16(frame->bytes + 16);
    if (data[0] & 16 && icmp_total >= 28 && icmp_total < BED_ROOM - 34)
        bed_seal_icmp(frame);
    return true;
}

/* Return a copy of nb bytes that ends where a page without access begins. */
static uint8_t *before_guard(const uint8_t *bytes, uint32_t nb)
{
    static uint8_t *pages;
    if (pages == NULL) {
        pages =
            mmap(NULL, 3 * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        CHECK(pages != MAP_FAILED);
        CHECK(mprotect(pages + 2 * PAGE_BYTES, PAGE_BYTES, PROT_NONE) == 0);
    }
    uint8_t *at = pages + 2 * PAGE_BYTES - nb;
    memcpy(at, bytes, nb);
    return at;
}

/* Check that an answer has the addresses of the question, swapped. */
static void check_answer(const struct frame *frame, const uint8_t *asked, uint32_t nb_asked,
                         enum drop_reason drop)
{
    CHECK(drop == DROP_ARP || drop == DROP_ICMP);
    CHECK(frame->len <= nb_asked && frame->len >= FRAME_ARP_BYTES);
    CHECK(memcmp(frame->data + 6, bed_server_mac, 6) == 0 && (frame->data[0] & 1) == 0);
    if (drop == DROP_ARP) {
        CHECK(bed_get16(frame->data + 20) == 2 && frame->len == FRAME_ARP_BYTES);
        CHECK(memcmp(frame->data + 22, bed_server_mac, 6) == 0);
        CHECK(memcmp(frame->data + 28, bed_server_ip, 4) == 0);
        CHECK(memcmp(frame->data + 32, asked + 22, 10) == 0);
    } else {
        CHECK(frame->len == 14 + bed_get16(frame->data + 16));
        CHECK(bed_checksum(0, frame->data + 14, 20) == 0);
        CHECK(bed_checksum(0, frame->data + 34, frame->len - 34) == 0);
        CHECK(memcmp(frame->data + 26, bed_server_ip, 4) == 0);
        CHECK(memcmp(frame->data + 30, asked + 26, 4) == 0);
        CHECK(memcmp(frame->data + 38, asked + 38, frame->len - 38) == 0);
    }
}

static void check_request(const struct frame *frame, const struct request *request)
{
    static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
    CHECK(request->data == frame->data + 42 && request->room == request->data);
    CHECK(request->len + 42 <= frame->len && request->room_bytes == FRAME_BYTES_MAX - 42);
    CHECK(request->room_bytes >= SERVICE_DATAGRAM_BYTES);
    CHECK(memcmp(request->source.addr, mapped_prefix, 12) == 0);
    CHECK(memcmp(request->source.addr + 12, frame->data + 26, 4) == 0);
    CHECK(request->source.port == bed_get16(frame->data + 34) && request->source.port != 0);
}

enum drop_reason bed_receive(const struct net *net, const uint8_t *bytes, uint32_t nb,
                             uint32_t vouched)
{
    struct request request, usual;
    bool answer;
    struct frame frame = {.data = before_guard(bytes, nb), .len = nb, .vouched = vouched};
    bool is_usual = net_usual(net, &frame, &usual);
    CHECK(memcmp(frame.data, bytes, nb) == 0);
    enum drop_reason drop = net_receive(net, &frame, &request, &answer);
    CHECK(drop == request.drop && drop < NB_DROP_REASONS);
    CHECK(is_usual == (drop == DROP_NONE));
    if (answer)
        check_answer(&frame, bytes, nb, drop);
    else
        CHECK(frame.len == nb && memcmp(frame.data, bytes, nb) == 0);
    if (drop != DROP_NONE)
        return drop;
    check_request(&frame, &request);
    CHECK(usual.data == request.data && usual.len == request.len && usual.room == request.room &&
          usual.room_bytes == request.room_bytes && usual.drop == request.drop &&
          memcmp(&usual.source, &request.source, sizeof(usual.source)) == 0);
    return drop;
}
