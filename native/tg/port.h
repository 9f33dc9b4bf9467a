/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract of the generator's port: one way to bring requests to a target and replies back.
 *
 * Implemented by port_<name>.c, chosen at link time. A port knows flows (a source port each) and
 * payloads, and nothing of what they mean.
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

#define PORT_BURST_MAX 64u

struct datagram {
    uint8_t *data; /* UDP payload */
    uint32_t len;  /* bytes; of replies: what came, at most config.reply_bytes + 1 */
    uint32_t flow;
};

struct port_config {
    const char *target; /* socket: ADDR:PORT or [ADDR]:PORT */
    uint32_t nb_flows;
    uint32_t request_bytes; /* most bytes of a request */
    uint32_t reply_bytes;   /* most bytes of a reply that can be right */
    uint32_t window;        /* most requests in flight */
};

struct port;

/* NULL, or what is wrong with the spelling of a target. */
const char *port_target_check(const char *target);

const char *port_open(struct port **port, const struct port_config *config);

/* Set datagrams[0..nb).data to rooms of request_bytes; nb <= PORT_BURST_MAX. */
void port_lend(struct port *port, struct datagram *datagrams, unsigned nb);

/* Send; data, len and flow of each are set. */
void port_tx_burst(struct port *port, const struct datagram *datagrams, unsigned nb);

/*
 * Receive; returns how many came. *round is set when by now every flow was looked at since it was
 * last set: what arrived before the call that began the round has been seen.
 */
unsigned port_rx_burst(struct port *port, struct datagram *datagrams, unsigned nb, bool *round);

void port_close(struct port *port);

#endif
