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
 * Of datagrams of one length, most bytes are alike. Going out, they are made once for each length,
 * in three registers, of which the last begins at byte 26. Coming in, a header is judged field by
 * field, its checksum too, unless its every byte but the flow's is what the last sound one had that
 * was as long and had no UDP checksum: that has been judged.
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

#define HEADERS_THIRD 26u
#define HEADERS_SEEN (ETHERNET_BYTES + HEADERS_TOTAL_MAX + 1)

/* Bytes 16 to 31 and 26 to 41 of a header, which depend on its length. */
struct headers_bytes {
    __m128i second, third; /* third: without the port of the flow */
};

/* As last seen of frames of one length; all 1 where never, which no masked first can be. */
struct headers_seen {
    __m128i first, second, third;
};

struct headers {
    __m128i tx_first;
    __m128i rx_first, rx_mask;
    uint64_t rx_third, rx_fourth; /* what must be there of addresses and ports */
    uint32_t pseudo_sum;          /* of addresses and protocol: the same both ways */
    uint32_t nb_flows;
    uint16_t port_base; /* of flow 0 */
    bool checksums;
    struct headers_bytes tx[HEADERS_TOTAL_MAX + 1];
    struct headers_seen seen[HEADERS_SEEN]; /* by bytes of the frame; of 0: none */
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
    const struct headers_bytes *tx = &headers->tx[IPV4_BYTES + UDP_BYTES + bytes];
    uint16_t port = __builtin_bswap16((uint16_t)(headers->port_base + flow));

    _mm_storeu_si128((__m128i *)(void *)frame, headers->tx_first);
    _mm_storeu_si128((__m128i *)(void *)(frame + 16), tx->second);
    _mm_storeu_si128((__m128i *)(void *)(frame + HEADERS_THIRD),
                     _mm_insert_epi16(tx->third, port, 4));
    if (headers->checksums) {
        uint8_t *udp = frame + ETHERNET_BYTES + IPV4_BYTES;
        uint16_t checksum = (uint16_t)~headers_udp_sum(headers, udp, UDP_BYTES + bytes);

        checksum = checksum == 0 ? 0xffff : checksum; /* RFC 768: 0 would say that there is none */
        memcpy(frame + 40, &checksum, 2);
    }
}

/* As they came, each byte once. */
struct headers_read {
    __m128i first, second, third;
};

/* headers_check of what was not seen before: field by field, and remembered where it is sound. */
uint32_t headers_judge(struct headers *headers, struct headers_read read, const uint8_t *frame,
                       uint32_t len);

/*
 * The length of the payload of a frame of `len` bytes, and its flow; HEADERS_MALFORMED where it is
 * no sound datagram from the target to one of our ports. Behind the IP datagram there may be
 * padding.
 */
static inline uint32_t headers_check(struct headers *headers, const uint8_t *frame, uint32_t len,
                                     uint32_t *flow)
{
    const struct headers_seen *seen = &headers->seen[len < HEADERS_SEEN ? len : 0];
    struct headers_read read;
    __m128i differs;

    if (__builtin_expect(len < HEADERS_BYTES, 0))
        return HEADERS_MALFORMED;
    read.first = register_read(frame);
    read.second = register_read(frame + 16);
    read.third = register_read(frame + HEADERS_THIRD);
    *flow = (uint16_t)(__builtin_bswap16((uint16_t)_mm_extract_epi16(read.third, 5)) -
                       headers->port_base);
    if (__builtin_expect(*flow >= headers->nb_flows, 0))
        return HEADERS_MALFORMED;
    differs = _mm_xor_si128(_mm_and_si128(read.first, headers->rx_mask), seen->first);
    differs = _mm_or_si128(differs, _mm_xor_si128(read.second, seen->second));
    differs = _mm_or_si128(differs, _mm_xor_si128(_mm_insert_epi16(read.third, 0, 5), seen->third));
    if (__builtin_expect(!_mm_testz_si128(differs, differs), 0))
        return headers_judge(headers, read, frame, len);
    return len - HEADERS_BYTES; /* without padding: such are not remembered */
}

#endif
