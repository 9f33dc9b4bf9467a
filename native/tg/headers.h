/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The 42 bytes before a UDP payload: Ethernet, IPv4 without options (RFC 791), UDP (RFC 768), from
 * the generator to its target and back.
 *
 * They are made and judged as five words, which lie in the same places in both directions:
 *
 *      0  destination, source, ethertype, version and IHL, service     16 bytes
 *     16  total length, id, fragment, TTL, protocol                     8
 *     24  header checksum, source address, destination's upper half     8
 *     32  destination's lower half, source port, destination port, UDP length
 *     40  UDP checksum                                                  2
 *
 * Numbers stay in the order in which they lie in memory: the sum of RFC 1071 does not care.
 *
 * What comes lies in memory that the other side may still be writing. So each word is read once,
 * into a register, and everything that is decided about it, and the length that is handed on, come
 * from there. The payload's bytes are the checker's to read, under the same rule.
 */
#ifndef NEARMETAL_TG_HEADERS_H
#define NEARMETAL_TG_HEADERS_H

#include <stdbool.h>

#include "words.h"

#define HEADERS_BYTES 42u
#define ETHERNET_BYTES 14u
#define IPV4_BYTES 20u
#define UDP_BYTES 8u
#define HEADERS_MALFORMED UINT32_MAX
#define IPPROTO_UDP_NUMBER 17u

struct headers {
    /* Out: what does not change from frame to frame. */
    __m128i tx_first;
    uint64_t tx_second, tx_third, tx_fourth;
    uint32_t tx_sum; /* of the IPv4 header with length 0 */
    /* In: what must be there. */
    __m128i rx_first, rx_mask;
    uint64_t rx_third, rx_fourth;
    uint32_t pseudo_sum; /* of addresses and protocol: the same both ways */
    uint16_t port_base;  /* of flow 0 */
    uint32_t nb_flows;
    bool checksums;
};

struct headers_config {
    uint8_t our_mac[6], target_mac[6];
    uint8_t our_address[4], target_address[4];
    uint16_t target_port, port_base;
    uint32_t nb_flows;
    bool checksums; /* real UDP checksums out, and wanted in */
};

void headers_init(struct headers *headers, const struct headers_config *config);

/* The UDP checksum of a datagram as it stands in memory: 0xffff when it is right and there; out of
 * one with checksum 0, the complement of what has to be written. */
uint32_t headers_udp_sum(const struct headers *headers, const uint8_t *udp, uint32_t bytes);

static inline uint16_t headers_fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* Everything before a payload of `bytes` bytes; the payload stands already. */
static inline void headers_write(const struct headers *headers, uint8_t *frame, uint32_t flow,
                                 uint32_t bytes)
{
    uint16_t total = __builtin_bswap16((uint16_t)(IPV4_BYTES + UDP_BYTES + bytes));
    uint16_t port = __builtin_bswap16((uint16_t)(headers->port_base + flow));
    uint16_t length = __builtin_bswap16((uint16_t)(UDP_BYTES + bytes));
    uint16_t checksum = (uint16_t)~headers_fold((uint64_t)headers->tx_sum + total);
    uint64_t second = headers->tx_second | total, third = headers->tx_third | checksum;
    uint64_t fourth = headers->tx_fourth | (uint64_t)port << 16 | (uint64_t)length << 48;

    _mm_storeu_si128((__m128i *)(void *)frame, headers->tx_first);
    memcpy(frame + 16, &second, 8);
    memcpy(frame + 24, &third, 8);
    memcpy(frame + 32, &fourth, 8);
    memset(frame + 40, 0, 2);
    if (headers->checksums) {
        checksum = (uint16_t)~headers_udp_sum(headers, frame + ETHERNET_BYTES + IPV4_BYTES,
                                              UDP_BYTES + bytes);
        checksum = checksum == 0 ? 0xffff : checksum; /* RFC 768: 0 would say that there is none */
        memcpy(frame + 40, &checksum, 2);
    }
}

/*
 * The length of the payload of a frame of `len` bytes, and its flow; HEADERS_MALFORMED where it is
 * no sound datagram from the target to one of our ports. Behind the IP datagram there may be
 * padding.
 */
static inline uint32_t headers_check(const struct headers *headers, const uint8_t *frame,
                                     uint32_t len, uint32_t *flow)
{
    __m128i first;
    uint64_t second, third, fourth, sum, bad;
    uint32_t total, checksum;

    if (len < HEADERS_BYTES)
        return HEADERS_MALFORMED;
    first = _mm_loadu_si128((const __m128i *)(const void *)frame);
    second = word_read(frame + 16);
    third = word_read(frame + 24);
    fourth = word_read(frame + 32);
    checksum = word_read_short(frame + 40);
    total = __builtin_bswap16((uint16_t)second);
    *flow = (uint16_t)(__builtin_bswap16((uint16_t)(fourth >> 32)) - headers->port_base);
    sum = (uint32_t)_mm_extract_epi16(first, 7) + (second & 0xffffffff) + (second >> 32) +
          (third & 0xffffffff) + (third >> 32) + (fourth & 0xffff);
    first = _mm_and_si128(_mm_xor_si128(first, headers->rx_first), headers->rx_mask);
    bad = (uint64_t)_mm_movemask_epi8(_mm_cmpeq_epi8(first, _mm_setzero_si128())) ^ 0xffff;
    bad |= headers_fold(sum) ^ 0xffff;
    bad |= second >> 32 & 0xffbf; /* a fragment: more follow, or not at 0; DF is the other bit */
    bad |= (second >> 56) ^ IPPROTO_UDP_NUMBER;
    bad |= (third >> 16) ^ headers->rx_third;
    bad |= (fourth & 0xffffffff) ^ headers->rx_fourth;
    bad |= (uint64_t)(total - IPV4_BYTES) ^ __builtin_bswap16((uint16_t)(fourth >> 48));
    if (bad != 0 || (second >> 48 & 0xff) == 0 || total < IPV4_BYTES + UDP_BYTES ||
        total > len - ETHERNET_BYTES || *flow >= headers->nb_flows)
        return HEADERS_MALFORMED;
    /* Who sends no checksums wants none; one that is there is wanted right all the same. */
    if ((headers->checksums || checksum != 0) &&
        (checksum == 0 || headers_udp_sum(headers, frame + ETHERNET_BYTES + IPV4_BYTES,
                                          total - IPV4_BYTES) != 0xffff))
        return HEADERS_MALFORMED;
    return total - IPV4_BYTES - UDP_BYTES;
}

#endif
