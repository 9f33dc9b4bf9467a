/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract of the generator's port: one way to bring requests to a target and replies back.
 *
 * Implemented by port_socket.c (UDP sockets) and port_frames.c (whole frames over wire.h), chosen
 * at link time. A port knows flows (a source port each) and payloads, and nothing of what they
 * mean.
 *
 * Call order: open, then any number of { rx_burst, lend, tx_burst }, then close. Errors: open
 * returns NULL, or one sentence for the user. After that nothing fails: what could not be sent will
 * not be answered, and counts as lost.
 *
 * Ownership: rooms lent are the caller's until tx_burst, replies are the caller's until the next
 * rx_burst or tx_burst. Requests of one burst leave in its order. Nothing here blocks, but for the
 * time the kernel takes to send.
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
    uint32_t len;  /* bytes; of replies: what came, at most config.reply_bytes + 1 */
    uint32_t flow;
};

/* What only frames need (port_frames.c); a port of sockets refuses it. */
struct port_frames_config {
    uint8_t source[4];   /* our IPv4 address; 0.0.0.0: not given */
    bool has_target_mac; /* else the target is asked, by ARP */
    uint8_t target_mac[6];
    bool checksums;     /* real UDP checksums out, and wanted in; false: 0 both ways */
    const char *faults; /* text of --faults; NULL: none */
    uint64_t faults_seed;
    struct wire_config wire;
};

struct port_config {
    const char *target; /* ADDR:PORT or, socket only, [ADDR]:PORT */
    struct port_frames_config frames;
    uint32_t nb_flows;
    uint32_t source_port;   /* of flow 0, the others' behind it; 0: whatever is free, or usual */
    uint32_t request_bytes; /* most bytes of a request */
    uint32_t reply_bytes;   /* most bytes of a reply that can be right */
    uint32_t window;        /* most requests in flight */
    uint32_t nb_lcores;     /* threads, each with a port of its own */
};

struct port;

/* What the command line says of target, frames and lcores: NULL, or one sentence on what is wrong
 * with it or missing. Only these members are looked at. */
const char *port_check(const struct port_config *config);

const char *port_open(struct port **port, const struct port_config *config);

/* Whether the other end is there to be sent to: on a wire of frames, its device is up and its MAC
 * address known, which port_rx_burst looks after. A kernel's socket can always send. */
bool port_is_up(const struct port *port);

/* Set datagrams[0..returned).data to rooms of request_bytes, in the order in which they will leave;
 * nb <= PORT_BURST_MAX. Fewer than nb where the wire has no more room now. */
unsigned port_lend(struct port *port, struct datagram *datagrams, unsigned nb);

/* Send; data (as lent), len and flow of each are set. */
void port_tx_burst(struct port *port, const struct datagram *datagrams, unsigned nb);

/*
 * Receive; returns how many came. *round is set when by now every flow was looked at since it was
 * last set: what arrived before the call that began the round has been seen.
 */
unsigned port_rx_burst(struct port *port, struct datagram *datagrams, unsigned nb, bool *round);

/* Of the port's whole life. */
struct port_stats {
    bool has_frames, has_faults; /* what it has not, stays 0 */
    uint64_t nb_tx, nb_rx;       /* frames that left; that came */
    uint64_t nb_malformed;       /* came, but are no sound UDP datagram from the target to us */
    uint64_t nb_arp;             /* ARP frames that came */
    uint64_t nb_bad;             /* what the other side of the wire wrote failed a check */
    struct faults_stats faults;
};

void port_stats(const struct port *port, struct port_stats *stats);

void port_close(struct port *port);

#endif
