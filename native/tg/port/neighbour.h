/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ARP (RFC 826): resolves the target's address, and answers requests for the generator's own. Only
 * an answer to a request of the generator is accepted.
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
    bool known;        /* target_mac is valid */
    uint64_t asked_ns; /* 0: no request since the other end came up */
};

/* Whether a frame of `len` bytes is ARP. */
bool neighbour_is_arp(const uint8_t *frame, uint32_t len);

/* Take an ARP frame. True: it needs an answer, which is in `answer` (ARP_FRAME_BYTES). */
bool neighbour_take(struct neighbour *neighbour, const uint8_t *frame, uint32_t len,
                    uint8_t *answer);

/* True: it is time to send a request (again), which is in `frame`. */
bool neighbour_ask(struct neighbour *neighbour, uint64_t now_ns, uint8_t *frame);

#endif
