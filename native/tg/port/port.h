/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract of the generator's port: carries requests to a target and replies back.
 *
 * Implemented by port_socket.c (UDP sockets) and port_frames.c (whole frames over wire.h), chosen
 * at link time. A port handles flows (one source port each) and payloads, and does not interpret
 * payloads.
 *
 * Call order: open, then any number of { rx_burst, lend, tx_burst }, then close. Errors: open
 * returns NULL, or one sentence for the user. After that no call fails: a request that could not be
 * sent gets no answer, and counts as lost.
 *
 * Ownership: the caller owns lent rooms until tx_burst, and replies until the next rx_burst or
 * tx_burst. Requests of one burst and flow that have one length are sent in its order, over frames
 * all of them. No call blocks, except while the kernel sends.
 */
#ifndef NEARMETAL_TG_PORT_H
#define NEARMETAL_TG_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "faults.h"
#include "wire.h"

#define PORT_BURST_MAX 128u

struct datagram {
    uint8_t *data; /* UDP payload */
    uint32_t len;  /* bytes; of replies: those received, at most config.reply_bytes + 1 */
    uint32_t flow;
};

/* Options for frames only (port_frames.c); the socket port refuses them. */
struct port_frames_config {
    uint8_t source[4];   /* the generator's IPv4 address; 0.0.0.0: not given */
    bool has_target_mac; /* otherwise ARP finds it */
    uint8_t target_mac[6];
    bool checksums;     /* send and require real UDP checksums; false: 0 both ways */
    const char *faults; /* text of --faults; NULL: none */
    uint64_t faults_seed;
    struct wire_config wire;
};

struct port_config {
    const char *target; /* ADDR:PORT or, socket only, [ADDR]:PORT */
    struct port_frames_config frames;
    uint32_t nb_flows;
    uint32_t source_port;   /* of flow 0, others follow; 0: any free (sockets), 20000 (frames) */
    uint32_t request_bytes; /* most bytes of a request */
    uint32_t reply_bytes;   /* most bytes of a right reply */
    uint32_t window;        /* most requests in flight */
    uint32_t nb_lcores;     /* threads, each with a port of its own */
    bool segment;           /* sockets: several requests of a flow as one message (messages.h) */
};

struct port;

/* Check target, frames, nb_lcores and segment, and no other members. NULL, or one sentence: what is
 * wrong or missing. */
const char *port_check(const struct port_config *config);

const char *port_open(struct port **port, const struct port_config *config);

/* Whether requests can reach the other end. On a wire of frames: its device is up and its MAC
 * address known; port_rx_burst works towards both. A socket is always up. */
bool port_is_up(const struct port *port);

/* Set datagrams[0..returned).data to rooms of request_bytes, in the order of sending; nb <=
 * PORT_BURST_MAX. Returns fewer than nb if the wire has no more room now. */
unsigned port_lend(struct port *port, struct datagram *datagrams, unsigned nb);

/* Send; data (as lent), len and flow of each are set. */
void port_tx_burst(struct port *port, const struct datagram *datagrams, unsigned nb);

/*
 * Receive; returns how many arrived. Sets *round when every flow has been polled since it was last
 * set: everything that arrived before the call that began the round has been returned.
 */
unsigned port_rx_burst(struct port *port, struct datagram *datagrams, unsigned nb, bool *round);

/* A hint between two calls of rx_burst, at any time: begin to fetch up to nb replies that arrived
 * meanwhile. */
void port_ahead(struct port *port, unsigned nb);

/* Since the port was opened. */
struct port_stats {
    bool has_frames, has_faults, has_segments; /* counters of an absent part stay 0 */
    const char *words;                         /* further keys of the line `ready`; NULL: none */
    uint64_t nb_tx, nb_rx;                     /* frames sent; frames received */
    uint64_t nb_malformed; /* received, but no valid UDP datagram from the target to us */
    uint64_t nb_arp;       /* ARP frames received */
    uint64_t nb_bad;       /* descriptors or frames of the other side that failed a check */
    struct faults_stats faults;
    uint64_t nb_joined;  /* messages of several requests that were sent */
    uint64_t nb_refused; /* those that the kernel refused: their requests left one by one */
};

void port_stats(const struct port *port, struct port_stats *stats);

void port_close(struct port *port);

#endif
