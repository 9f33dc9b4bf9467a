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
 * Of datagrams of one length, most words are alike. Going out, they are made once for each length.
 * Coming in, a header is judged field by field, its checksum too, unless its every byte is what the
 * last sound one of its length had: that has been judged.
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

#define HEADERS_TOTAL_MAX 1500u /* bytes of an IPv4 datagram */

/* Words of a header that depend on its length; coming in, as last seen, all 0 for never. */
struct headers_words {
    uint64_t second, third, fourth; /* fourth: without the port of the flow */
};

struct headers {
    __m128i tx_first;
    __m128i rx_first, rx_mask;
    uint64_t rx_third, rx_fourth; /* what must be there of addresses and ports */
    uint32_t pseudo_sum;          /* of addresses and protocol: the same both ways */
    uint32_t nb_flows;
    uint16_t port_base; /* of flow 0 */
    bool checksums;
    struct headers_words tx[HEADERS_TOTAL_MAX + 1], rx[HEADERS_TOTAL_MAX + 1];
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
    const struct headers_words *words = &headers->tx[IPV4_BYTES + UDP_BYTES + bytes];
    uint64_t port = __builtin_bswap16((uint16_t)(headers->port_base + flow));
    uint64_t fourth = words->fourth | port << 16;

    _mm_storeu_si128((__m128i *)(void *)frame, headers->tx_first);
    memcpy(frame + 16, &words->second, 8);
    memcpy(frame + 24, &words->third, 8);
    memcpy(frame + 32, &fourth, 8);
    memset(frame + 40, 0, 2);
    if (headers->checksums) {
        uint8_t *udp = frame + ETHERNET_BYTES + IPV4_BYTES;
        uint16_t checksum = (uint16_t)~headers_udp_sum(headers, udp, UDP_BYTES + bytes);

        checksum = checksum == 0 ? 0xffff : checksum; /* RFC 768: 0 would say that there is none */
        memcpy(frame + 40, &checksum, 2);
    }
}

/* As they came. */
struct headers_read {
    __m128i first;
    uint64_t second, third, fourth;
    uint16_t checksum;
};

/* Field by field; true: sound, and remembered. */
bool headers_judge(struct headers *headers, const struct headers_read *read);

/*
 * The length of the payload of a frame of `len` bytes, and its flow; HEADERS_MALFORMED where it is
 * no sound datagram from the target to one of our ports. Behind the IP datagram there may be
 * padding.
 */
static inline uint32_t headers_check(struct headers *headers, const uint8_t *frame, uint32_t len,
                                     uint32_t *flow)
{
    const struct headers_words *seen;
    struct headers_read read;
    uint64_t differs;
    uint32_t total;

    if (__builtin_expect(len < HEADERS_BYTES, 0))
        return HEADERS_MALFORMED;
    read.first = _mm_loadu_si128((const __m128i *)(const void *)frame);
    read.second = word_read(frame + 16);
    read.third = word_read(frame + 24);
    read.fourth = word_read(frame + 32);
    read.checksum = word_read_short(frame + 40);
    total = __builtin_bswap16((uint16_t)read.second);
    *flow = (uint16_t)(__builtin_bswap16((uint16_t)(read.fourth >> 32)) - headers->port_base);
    if (__builtin_expect(total > len - ETHERNET_BYTES || total > HEADERS_TOTAL_MAX ||
                             *flow >= headers->nb_flows,
                         0))
        return HEADERS_MALFORMED;
    seen = &headers->rx[total];
    differs = (read.second ^ seen->second) | (read.third ^ seen->third) |
              ((read.fourth ^ seen->fourth) & ~0x0000ffff00000000ull) |
              (0xffffu ^ (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(
                             _mm_and_si128(read.first, headers->rx_mask), headers->rx_first)));
    if (__builtin_expect(differs != 0, 0) && !headers_judge(headers, &read))
        return HEADERS_MALFORMED;
    /* Who sends no checksums wants none; one that is there is wanted right all the same. */
    if (__builtin_expect(headers->checksums || read.checksum != 0, 0) &&
        (read.checksum == 0 || headers_udp_sum(headers, frame + ETHERNET_BYTES + IPV4_BYTES,
                                               total - IPV4_BYTES) != 0xffff))
        return HEADERS_MALFORMED;
    return total - IPV4_BYTES - UDP_BYTES;
}

#endif
