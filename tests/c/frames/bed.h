/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the tests of frames/ share: a server at 10.0.0.2:11211, sound frames to it
 * from 10.0.0.1:40000, a checksum of its own making, and what holds for any frame whatever its
 * bytes.
 */
#ifndef NEARMETAL_NET_BED_H
#define NEARMETAL_NET_BED_H

#include "net.h"

#define BED_PORT 11211u
#define BED_ROOM 2048u

extern const uint8_t bed_server_mac[6], bed_client_mac[6];
extern const uint8_t bed_server_ip[4], bed_client_ip[4];

/* A frame to be spoiled, with room behind it. */
struct bed_frame {
    uint8_t bytes[BED_ROOM];
    uint32_t len;
};

void bed_open(struct net *net);

/* Sound frames: a UDP request (checksum 0), an ARP request for the server, an ICMP echo request. */
void bed_request(struct bed_frame *frame, const void *payload, uint32_t nb);
void bed_arp(struct bed_frame *frame);
void bed_echo(struct bed_frame *frame, const void *data, uint32_t nb);

void bed_put16(uint8_t *at, uint32_t value);
uint32_t bed_get16(const uint8_t *at);

/* Make the IPv4 header's, the UDP, the ICMP checksum right (lengths as the headers say). */
void bed_seal_ip(struct bed_frame *frame);
void bed_seal_udp(struct bed_frame *frame);
void bed_seal_icmp(struct bed_frame *frame);

/* Word by word as RFC 1071 has it, from big-endian bytes; of a range with its checksum in it: 0. */
uint16_t bed_checksum(uint32_t sum, const uint8_t *bytes, uint32_t nb);

/* Of a UDP datagram with its pseudo header; 0: it is right. */
uint16_t bed_udp_checksum(const uint8_t *frame);

/* A fuzzer's input: the first byte says which checksums are made right, the rest is the frame. */
bool bed_from_input(struct bed_frame *frame, const uint8_t *data, size_t nb_bytes);

/*
 * Give any frame to net_receive and net_usual, where it ends at a page that may not be touched, and
 * check what holds for all: a verdict of drop.h, the same from both, payloads and answers inside
 * the frame, answers sound and to whoever asked. Returns the verdict.
 */
enum drop_reason bed_receive(const struct net *net, const uint8_t *bytes, uint32_t nb,
                             uint32_t vouched);

#endif
