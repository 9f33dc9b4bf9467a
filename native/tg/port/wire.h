/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract of the generator's wire: whole Ethernet frames, out and in.
 *
 * Implemented by wire_vhost.c (in place, in the server's own buffers) and wire_ethdev.c (DPDK),
 * chosen at link time. port_frames.c is the caller: it makes the generator's port of it (port.h),
 * with faults.c between the two where faults were asked for.
 *
 * Errors: open returns NULL, or one sentence for the user. After that nothing fails: a frame that
 * could not leave is lost, and nb_tx does not count it.
 *
 * Ownership: rooms lent are the caller's until wire_send, frames received until wire_return.
 * Nothing blocks but wire_open.
 */
#ifndef NEARMETAL_TG_WIRE_H
#define NEARMETAL_TG_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#define WIRE_FRAME_BYTES_MAX 1514u

/* It may alias, so that a wire whose own frames look alike need not copy a burst of them. */
struct __attribute__((may_alias)) wire_frame {
    uint8_t *data; /* from the Ethernet header on */
    uint32_t len;  /* room lent: bytes that fit; frame: bytes */
};

struct wire_config {
    const char *socket_path; /* vhost: the AF_UNIX socket */
    bool connect;            /* vhost: connect to it, instead of listening there */
    char *const *args;       /* ethdev: EAL arguments */
    int nb_args;
};

struct wire_stats {
    uint64_t nb_tx, nb_rx, nb_bad; /* frames; nb_bad: what the other side wrote failed a check */
};

struct wire;

/* "vhost-user", "ethdev" */
extern const char wire_name[];

/* What the command line says of it: NULL, or one sentence on what is wrong with it or missing. */
const char *wire_check(const struct wire_config *config);

const char *wire_open(struct wire **wire, const struct wire_config *config);

/* The generator's own address. */
void wire_mac(const struct wire *wire, uint8_t mac[6]);

/* Somebody is at the other end. Also does what must be done now and then: call it at least every
 * 4,096 turns. */
bool wire_up(struct wire *wire);

/* Rooms in the order in which they will leave; returns how many there are. Lending again before
 * wire_send gives the same ones. */
unsigned wire_lend(struct wire *wire, struct wire_frame *rooms, unsigned nb);

/* The first nb rooms lent hold frames of frames[i].len bytes: send them. */
void wire_send(struct wire *wire, const struct wire_frame *frames, unsigned nb);

unsigned wire_receive(struct wire *wire, struct wire_frame *frames, unsigned nb);

/* All frames received so far are done with. To be said every turn, also when none came: a wire may
 * give them back later. */
void wire_return(struct wire *wire);

void wire_stats(const struct wire *wire, struct wire_stats *stats);

void wire_close(struct wire *wire);

#endif
