/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract of the generator's wire: sends and receives whole Ethernet frames.
 *
 * Implemented by wire_vhost.c (in place, in the server's own buffers), wire_ethdev.c (DPDK) and
 * wire_xdp.c (AF_XDP), chosen at link time. port_frames.c is the caller: it implements the
 * generator's port (port.h) on top of it, with faults.c in between for --faults.
 *
 * Errors: open returns NULL, or one sentence for the user. After that no call fails: a frame that
 * could not be sent is lost, and nb_tx does not count it.
 *
 * Ownership: the caller owns lent rooms until wire_send, and received frames until wire_return.
 * Only wire_open blocks.
 */
#ifndef NEARMETAL_TG_WIRE_H
#define NEARMETAL_TG_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#define WIRE_FRAME_BYTES_MAX 1514u

/* May alias, so that a wire whose own frames have the same layout need not copy a burst. */
struct __attribute__((may_alias)) wire_frame {
    uint8_t *data; /* from the Ethernet header on */
    uint32_t len;  /* room lent: bytes that fit; frame: bytes */
};

struct wire_config {
    const char *socket_path; /* vhost: the AF_UNIX socket */
    bool connect;            /* vhost: connect to it, instead of listening there */
    char *const *args;       /* ethdev: EAL arguments */
    int nb_args;
    const char *iface; /* xdp: the interface */
    /* Which frames are for us; port_frames.c sets these. A wire may leave others to the kernel. */
    uint8_t address[4];
    uint16_t port_first, nb_ports; /* of UDP */
};

struct wire_stats {
    uint64_t nb_tx, nb_rx, nb_bad; /* frames; nb_bad: the other side wrote something invalid */
};

struct wire;

/* "vhost-user", "ethdev", "xdp" */
extern const char wire_name[];

/* Whether the other end's kernel may leave UDP checksums to hardware that is not there. Replies
 * then arrive with the sum of the pseudo header alone. */
extern const bool wire_unfinished;

/* Check the options of this wire. NULL, or one sentence: what is wrong or missing. */
const char *wire_check(const struct wire_config *config);

const char *wire_open(struct wire **wire, const struct wire_config *config);

/* The generator's own MAC address. */
void wire_mac(const struct wire *wire, uint8_t mac[6]);

/* Further keys of the line `ready`: JSON with a comma in front, or "". */
const char *wire_words(const struct wire *wire);

/* Whether the other end is up. Also does periodic work: call it at least every 4,096 turns. */
bool wire_up(struct wire *wire);

/* Lend rooms in the order of sending; returns how many. Lending again before wire_send returns the
 * same rooms. */
unsigned wire_lend(struct wire *wire, struct wire_frame *rooms, unsigned nb);

/* Send: the first nb lent rooms hold frames of frames[i].len bytes. */
void wire_send(struct wire *wire, const struct wire_frame *frames, unsigned nb);

unsigned wire_receive(struct wire *wire, struct wire_frame *frames, unsigned nb);

/* A hint: begin to fetch up to nb frames that arrived meanwhile, for the next wire_receive. Some
 * wires have nothing to do. */
void wire_ahead(struct wire *wire, unsigned nb);

/* Return all frames received so far. Call it every turn, even if none arrived: a wire may return
 * frames later. */
void wire_return(struct wire *wire);

void wire_stats(const struct wire *wire, struct wire_stats *stats);

void wire_close(struct wire *wire);

#endif
