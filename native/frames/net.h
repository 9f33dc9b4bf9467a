/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The frame half of a server: is this frame a request to us, and what does its reply look like?
 *
 * Shared by every frame datapath, Linux or not: nothing here but memcpy is needed from outside.
 * IPv4 only. Every byte of a frame is hostile: lengths are checked before what they measure is
 * read, and nothing behind frame->len is touched.
 *
 *   net_receive   checks one frame, whole and in the order of drop.h; answers ARP requests for us
 *                 and ICMP echo requests in place
 *   net_usual     the same verdict for what nearly every frame is, a sound request, in a few
 *                 instructions; false: ask net_receive
 *   net_turn      turns a request's headers round in place, for its reply
 *   net_continue  writes the same headers in front of a reply's further datagram
 *
 * What cannot be known here: the network's mask, and so whether a source is the directed broadcast
 * address of its network (RFC 1812, 5.3.5.2). A reply to one is a unicast frame to whoever sent the
 * request.
 */
#ifndef NEARMETAL_NET_H
#define NEARMETAL_NET_H

#include <stdbool.h>

#include "frames.h"
#include "headers.h"

/* The first 40 bytes of a frame as five 64-bit words: everything that a request's headers say but
 * for the UDP checksum. */
#define NET_WORDS 5u

_Static_assert(FRAME_HEADERS_BYTES == FRAME_PAYLOAD_OFFSET,
               "the same thing, seen from below and from above");

struct net {
    uint8_t mac[6];
    be32 ip;
    be16 port;
    uint64_t usual_mask[NET_WORDS];  /* bits that all requests to us have in common, */
    uint64_t usual_want[NET_WORDS];  /* and what they are */
    uint64_t reply_words[NET_WORDS]; /* what all replies have in common, 0 elsewhere */
    uint64_t reply_sum;              /* the same of their IPv4 header: part of its checksum */
};

/* NULL, or one sentence: why a server of frames cannot have this address. */
const char *net_check_listen(const struct source *listen);

/* The address that we answer for; addr is a unicast address. */
void net_open(struct net *net, const uint8_t mac[6], const uint8_t addr[4], uint16_t port);

/*
 * Check one frame. DROP_NONE: it is a request, and data, len, source, room, room_bytes and drop
 * are filled. Otherwise drop is the reason, and data is the frame, of length 0. *answer (with
 * DROP_ARP, DROP_ICMP): the frame now holds the answer, to be sent.
 */
enum drop_reason net_receive(const struct net *net, struct frame *frame, struct request *request,
                             bool *answer);

/* Is this ARP packet (the frame holds FRAME_ARP_BYTES) a request for our address by a sender that
 * may be answered: not gratuitous or spoofed (from our own address), not from a group? An all-zero
 * sender address is a probe (RFC 5227, 1.1), which must be answered. */
bool net_arp_asks_for_us(const struct net *net, const uint8_t *frame);

/* Is the UDP checksum of this sound request right? (It is not 0, and 40 + 8 <= frame's bytes.) */
bool net_udp_checksum_is_right(const uint8_t *frame, uint32_t udp_bytes);

/* Set the UDP checksum of this reply. */
void net_udp_checksum_set(uint8_t *frame, uint32_t udp_bytes);

#endif
