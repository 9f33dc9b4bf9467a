/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared by the tests of frames/: a server at 10.0.0.2:11211, valid frames to it from
 * 10.0.0.1:40000, an independent implementation of the checksum, and the checks that hold for any
 * frame.
 */
#ifndef NEARMETAL_NET_BED_H
#define NEARMETAL_NET_BED_H

#include "net.h"

#define BED_PORT 11211u
#define BED_ROOM 2048u

extern const uint8_t bed_server_mac[6], bed_client_mac[6];
extern const uint8_t bed_server_ip[4], bed_client_ip[4];

/* A frame for a test to spoil, with free room behind it. */
struct bed_frame {
    uint8_t bytes[BED_ROOM];
    uint32_t len;
};

void bed_open(struct net *net);

/* Valid frames: a UDP request (checksum 0), an ARP request for the server, an ICMP echo request. */
void bed_request(struct bed_frame *frame, const void *payload, uint32_t nb);
void bed_arp(struct bed_frame *frame);
void bed_echo(struct bed_frame *frame, const void *data, uint32_t nb);

void bed_put16(uint8_t *at, uint32_t value);
uint32_t bed_get16(const uint8_t *at);

/* Set the checksum of the IPv4 header, of UDP, of ICMP; lengths are taken from the headers. */
void bed_seal_ip(struct bed_frame *frame);
void bed_seal_udp(struct bed_frame *frame);
void bed_seal_icmp(struct bed_frame *frame);

/* RFC 1071, word by word, of big-endian bytes. 0 for a range that includes a right checksum. */
uint16_t bed_checksum(uint32_t sum, const uint8_t *bytes, uint32_t nb);

/* The checksum of a UDP datagram with its pseudo header; 0 if the stored checksum is right. */
uint16_t bed_udp_checksum(const uint8_t *frame);

/* A fuzzer's input: the first byte selects the checksums to set, the rest is the frame. */
bool bed_from_input(struct bed_frame *frame, const uint8_t *data, size_t nb_bytes);

/*
 * Pass any frame to net_receive and net_usual, with an inaccessible page right behind the frame,
 * and check what holds for all: a verdict of drop.h, the same from both, payloads and answers
 * inside the frame, answers valid and addressed to the sender. Returns the verdict.
 */
enum drop_reason bed_receive(const struct net *net, const uint8_t *bytes, uint32_t nb,
                             uint32_t vouched);

#endif
