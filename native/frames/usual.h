/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The usual frame: a valid request to us, and its reply. This code runs for every request, so it is
 * inline and reads a header as five words: fields that must be equal are compared at once, fields
 * with a range are cut out of the words, and one branch tests the result. net_receive finds the
 * reason.
 *
 *      0      6      12   14       16    18 20   22  23    24   26     30    34    36    38    40
 *      | to   | from |type|IHL, TOS|total|id|frag|TTL|proto|sum |source|dest |sport|dport|bytes|sum
 *      word 0 (0..7)  word 1 (8..15)      word 2 (16..23)   word 3 (24..31)   word 4 (32..39)
 */
#ifndef NEARMETAL_USUAL_H
#define NEARMETAL_USUAL_H

#include "checksum.h"
#include "net.h"

/* Whether a source may be answered: not 0/8, 127/8, a group or reserved (224/3), or our own. */
static inline bool net_source_is_sound(const struct net *net, be32 source)
{
    uint8_t first = (uint8_t)source;
    return (uint8_t)(first - 1) < 223 && first != 127 && source != net->ip;
}

static inline void net_fill_request(struct request *request, uint8_t *frame, uint32_t udp_bytes)
{
    request->data = request->room = frame + FRAME_PAYLOAD_OFFSET;
    request->len = udp_bytes - (uint32_t)sizeof(struct udp_header);
    request->room_bytes = FRAME_BYTES_MAX - FRAME_PAYLOAD_OFFSET;
    /* ::ffff:a.b.c.d (RFC 4291, 2.5.5.2) */
    uint64_t low = 0xffff0000ull | checksum_load(frame + 26, 4) << 32;
    __builtin_memset(request->source.addr, 0, 8);
    __builtin_memcpy(request->source.addr + 8, &low, 8);
    request->source.port = swap16((uint16_t)checksum_load(frame + FRAME_TRANSPORT_OFFSET, 2));
    request->drop = DROP_NONE;
}

/* Whether the frame is a usual request. True: the same result as net_receive with DROP_NONE. */
static inline bool net_usual(const struct net *net, const struct frame *frame,
                             struct request *request)
{
    const uint8_t *data = frame->data;
    uint64_t word[NET_WORDS], differ = 0;
    if (__builtin_expect(frame->len - FRAME_PAYLOAD_OFFSET > FRAME_BYTES_MAX - FRAME_PAYLOAD_OFFSET,
                         0))
        return false;
    for (unsigned i = 0; i < NET_WORDS; i++) {
        word[i] = checksum_load(data + 8 * i, 8);
        differ |= (word[i] & net->usual_mask[i]) ^ net->usual_want[i];
    }
    uint32_t total_bytes = swap16((uint16_t)word[2]);
    uint32_t udp_bytes = swap16((uint16_t)(word[4] >> 48));
    bool sound = differ == 0 && total_bytes <= frame->len - FRAME_NETWORK_OFFSET &&
                 udp_bytes >= sizeof(struct udp_header) &&
                 total_bytes == udp_bytes + sizeof(struct ipv4_header);
    uint8_t ttl = (uint8_t)(word[2] >> 48);
    be16 source_port = (be16)(word[4] >> 16);
    sound =
        sound && ttl != 0 && source_port != 0 && net_source_is_sound(net, (be32)(word[3] >> 16));
    if (!(frame->vouched & FRAME_IP_GOOD)) {
        uint64_t sum = (word[1] >> 48) + (word[2] & 0xffffffff) + (word[2] >> 32) +
                       (word[3] & 0xffffffff) + (word[3] >> 32) + (word[4] & 0xffff);
        sound = sound && checksum_fold(sum) == 0xffff;
    }
    if (__builtin_expect(!sound, 0))
        return false;
    if (__builtin_expect(checksum_load(frame->data + 40, 2) != 0, 0) &&
        !(frame->vouched & FRAME_UDP_GOOD) && !net_udp_checksum_is_right(frame->data, udp_bytes))
        return false;
    net_fill_request(request, frame->data, udp_bytes);
    return true;
}

static inline void store_word(uint8_t *frame, unsigned index, uint64_t word)
{
    __builtin_memcpy(frame + 8 * index, &word, 8);
}

/* Write the headers of a reply from us to this peer. */
static inline void net_write_headers(const struct net *net, uint8_t *frame, uint64_t peer_mac,
                                     be32 peer_ip, be16 peer_port, uint32_t payload_bytes)
{
    uint16_t udp_bytes = (uint16_t)(payload_bytes + sizeof(struct udp_header));
    uint16_t total_bytes = (uint16_t)(udp_bytes + sizeof(struct ipv4_header));
    uint64_t sum = net->reply_sum + swap16(total_bytes) + (peer_ip & 0xffff) + (peer_ip >> 16);
    uint16_t checksum = (uint16_t)~checksum_fold(sum);
    const uint64_t *constant = net->reply_words;
    /* Each word is composed in a register: loads of partly written words would stall. */
    store_word(frame, 0, constant[0] | peer_mac);
    store_word(frame, 1, constant[1]);
    store_word(frame, 2, constant[2] | swap16(total_bytes));
    store_word(frame, 3, constant[3] | checksum | (uint64_t)(peer_ip & 0xffff) << 48);
    store_word(frame, 4,
               constant[4] | peer_ip >> 16 | (uint64_t)peer_port << 32 |
                   (uint64_t)swap16(udp_bytes) << 48);
}

static inline uint32_t net_finish(uint8_t *frame, uint32_t payload_bytes, bool with_checksum)
{
    if (__builtin_expect(with_checksum, 0))
        net_udp_checksum_set(frame, payload_bytes + (uint32_t)sizeof(struct udp_header));
    return FRAME_PAYLOAD_OFFSET + payload_bytes;
}

/* Turn the headers of a request round, for a reply of payload_bytes behind them; returns the
 * frame's bytes. The UDP checksum is 0 where the request's was. */
static inline uint32_t net_turn(const struct net *net, uint8_t *frame, uint32_t payload_bytes)
{
    uint64_t peer_mac = checksum_load(frame + 6, 8) & 0xffffffffffff;
    be32 peer_ip = (be32)checksum_load(frame + 26, 4);
    be16 peer_port = (be16)checksum_load(frame + FRAME_TRANSPORT_OFFSET, 2);
    bool with_checksum = checksum_load(frame + 40, 2) != 0;
    net_write_headers(net, frame, peer_mac, peer_ip, peer_port, payload_bytes);
    return net_finish(frame, payload_bytes, with_checksum);
}

/* Write the headers of a reply's further datagram; `turned`: the headers that net_turn wrote. */
static inline uint32_t net_continue(const struct net *net, uint8_t *frame, const uint8_t *turned,
                                    uint32_t payload_bytes)
{
    uint64_t peer_mac = checksum_load(turned, 8) & 0xffffffffffff;
    be32 peer_ip = (be32)checksum_load(turned + 30, 4);
    be16 peer_port = (be16)checksum_load(turned + 36, 2);
    bool with_checksum = checksum_load(turned + 40, 2) != 0;
    net_write_headers(net, frame, peer_mac, peer_ip, peer_port, payload_bytes);
    __builtin_memset(frame + 40, 0, 2);
    return net_finish(frame, payload_bytes, with_checksum);
}

#endif
