/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The frame half of a server: recognise requests, and write the headers of their replies.
 *
 * Shared by every frame datapath, on Linux or not: needs nothing but memcpy from outside. IPv4
 * only. Every byte of a frame is untrusted: lengths are checked before the bytes that they measure
 * are read, and nothing behind frame->len is touched.
 *
 *   net_receive   checks one frame, whole and in the order of drop.h; answers ARP requests for us
 *                 and ICMP echo requests in place
 *   net_usual     returns the same verdict for the usual frame, a valid request, in a few
 *                 instructions; false: net_receive must decide
 *   net_turn      turns a request's headers round in place, for its reply
 *   net_continue  writes the same headers in front of a reply's further datagram
 *
 * The network's mask is not known here. Therefore a source cannot be recognised as the directed
 * broadcast address of its network (RFC 1812, 5.3.5.2). A reply to such a source is a unicast frame
 * to the sender of the request.
 */
#ifndef NEARMETAL_NET_H
#define NEARMETAL_NET_H

#include <stdbool.h>

#include "frames.h"
#include "headers.h"

/* The first 40 bytes of a frame as five 64-bit words: all of the headers except the UDP
 * checksum. */
#define NET_WORDS 5u

_Static_assert(FRAME_HEADERS_BYTES == FRAME_PAYLOAD_OFFSET,
               "both are the bytes of the Ethernet, IPv4 and UDP headers");

struct net {
    uint8_t mac[6];
    be32 ip;
    be16 port;
    uint64_t usual_mask[NET_WORDS];  /* bits that all requests to us have in common, and */
    uint64_t usual_want[NET_WORDS];  /* their values */
    uint64_t reply_words[NET_WORDS]; /* bits that all replies have in common; 0 elsewhere */
    uint64_t reply_sum;              /* sum of their IPv4 header, for its checksum */
};

/* Check the address. Returns NULL, or one sentence: why a server of frames cannot have it. */
const char *net_check_listen(const struct source *listen);

/* Set the address that we answer for; addr is a unicast address. */
void net_open(struct net *net, const uint8_t mac[6], const uint8_t addr[4], uint16_t port);

/*
 * Check one frame. Returns DROP_NONE for a request, with data, len, source, room, room_bytes and
 * drop filled. Otherwise returns the reason, in drop too, and data is the frame, with length 0.
 * *answer (with DROP_ARP, DROP_ICMP): the frame now holds the answer, to be sent.
 */
enum drop_reason net_receive(const struct net *net, struct frame *frame, struct request *request,
                             bool *answer);

/*
 * Whether this ARP packet (the frame holds FRAME_ARP_BYTES) is a request for our address by a
 * sender that may be answered: not from our own address (gratuitous or spoofed), not from a group.
 * An all-zero sender address is a probe (RFC 5227, 1.1), which must be answered.
 */
bool net_arp_asks_for_us(const struct net *net, const uint8_t *frame);

/* Whether the UDP checksum of a request is correct. It is not 0; the frame holds 34 + udp_bytes. */
bool net_udp_checksum_is_right(const uint8_t *frame, uint32_t udp_bytes);

/* Set the UDP checksum of this reply. */
void net_udp_checksum_set(uint8_t *frame, uint32_t udp_bytes);

#endif
