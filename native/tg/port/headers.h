/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The 42 bytes before a UDP payload: Ethernet, IPv4 without options (RFC 791), UDP (RFC 768), from
 * the generator to its target and back.
 *
 * They are written and checked as five words, at the same offsets in both directions:
 *
 *      0  destination, source, ethertype, version and IHL, service     16 bytes
 *     16  total length, id, fragment, TTL, protocol                     8
 *     24  header checksum, source address, destination's upper half     8
 *     32  destination's lower half, source port, destination port, UDP length
 *     40  UDP checksum                                                  2
 *
 * Numbers keep their byte order in memory: the sum of RFC 1071 works in either order.
 *
 * Headers of datagrams of one length differ in few bytes. For sending, they are prepared once for
 * each length, in three registers, of which the last begins at byte 26. A received header is
 * checked field by field, including its checksum, but only if it is new: if all its bytes except
 * source MAC and flow's port equal those of the last valid header of the same length without a UDP
 * checksum, or with one that is unfinished, it is valid too.
 *
 * Received frames lie in memory that the other side may still be writing. So each word is read
 * once, into a register, and all decisions and the returned length use that register. The checker
 * reads the payload, under the same rule.
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

/* The last valid header of one length; all ones if there was none, which no masked `first`
 * equals. */
struct headers_seen {
    __m128i first, second, third;
};

struct headers {
    __m128i tx_first;
    __m128i rx_first, rx_mask;
    uint64_t rx_third, rx_fourth; /* required addresses and ports */
    uint32_t pseudo_sum;          /* of addresses and protocol: the same in both directions */
    uint32_t nb_flows;
    uint16_t port_base; /* of flow 0 */
    bool checksums, unfinished;
    struct headers_bytes tx[HEADERS_TOTAL_MAX + 1];
    struct headers_seen seen[HEADERS_SEEN]; /* by length of the frame; entry 0 is never filled */
};

struct headers_config {
    uint8_t our_mac[6], target_mac[6];
    uint8_t our_address[4], target_address[4];
    uint16_t target_port, port_base;
    uint32_t nb_flows;
    bool checksums;  /* send and require real UDP checksums */
    bool unfinished; /* require none, and accept the sum of the pseudo header, as a socket does */
};

void headers_init(struct headers *headers, const struct headers_config *config);

/* The UDP checksum over a datagram in memory. 0xffff: the datagram's checksum is there and right.
 * If the checksum field is 0, the result's complement is the checksum to write. */
uint32_t headers_udp_sum(const struct headers *headers, const uint8_t *udp, uint32_t bytes);

static inline uint16_t headers_fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* Write the headers before a payload of `bytes` bytes, which is already in the frame. */
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

        checksum = checksum == 0 ? 0xffff : checksum; /* RFC 768: 0 would mean "no checksum" */
        memcpy(frame + 40, &checksum, 2);
    }
}

/* The header as received, each byte read once. */
struct headers_read {
    __m128i first, second, third;
};

/* headers_check of a header that was not seen before: check each field, and remember a valid
 * header. */
uint32_t headers_judge(struct headers *headers, struct headers_read read, const uint8_t *frame,
                       uint32_t len);

/*
 * Check a frame of `len` bytes. Returns the length of its payload and sets its flow;
 * HEADERS_MALFORMED: it is no valid datagram from the target to one of the generator's ports.
 * Padding may follow the IP datagram.
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
    return len - HEADERS_BYTES; /* no padding: headers with padding are not remembered */
}

#endif
