/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ARP (RFC 826), both ways: who has the target's address, until it is answered; and we, for those
 * who ask. Only the answer to a question of ours is believed.
 */
#ifndef NEARMETAL_TG_NEIGHBOUR_H
#define NEARMETAL_TG_NEIGHBOUR_H

#include <stdbool.h>
#include <stdint.h>

#define ARP_FRAME_BYTES 42u
#define ARP_ETHERTYPE 0x0806u

struct neighbour {
    uint8_t our_mac[6], our_address[4], target_address[4];
    uint8_t target_mac[6];
    bool known;        /* target_mac is */
    uint64_t asked_ns; /* 0: not since the other end came up */
};

/* The frame is one of ARP's; len: its bytes. */
bool neighbour_is_arp(const uint8_t *frame, uint32_t len);

/* Take an ARP frame. True when it wants an answer: `answer`, of ARP_FRAME_BYTES. */
bool neighbour_take(struct neighbour *neighbour, const uint8_t *frame, uint32_t len,
                    uint8_t *answer);

/* True when it is time to ask (again): the question is in `frame`. */
bool neighbour_ask(struct neighbour *neighbour, uint64_t now_ns, uint8_t *frame);

#endif
