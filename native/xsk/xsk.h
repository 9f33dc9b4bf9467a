/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An AF_XDP socket on queue 0 of an interface, with the XDP program that leads frames to it.
 *
 * Frames are written and read in the UMEM, without a copy by this program. The kernel copies each
 * one (copy mode), unless the driver can place frames there itself (zero-copy).
 *
 * System calls: in copy mode the kernel sends during the call of xsk_send, on the caller's core, at
 * most 32 frames a call. It receives without a call, where the driver's receive processing runs.
 *
 * Program: xsk.bpf.c leads UDP datagrams and ARP packets for us to the socket, and passes all other
 * frames to the kernel. It is attached in the driver where that has XDP (native), else behind it
 * (generic), by a link that ends with this process, however it ends. A program that is already
 * attached is never replaced.
 *
 * Errors: xsk_open returns NULL, or one sentence for the user. After that no call fails, and only
 * xsk_wait blocks.
 */
#ifndef NEARMETAL_XSK_H
#define NEARMETAL_XSK_H

#include <stdbool.h>
#include <stdint.h>

#include "xsk_rings.h"

struct xsk_config {
    const char *iface;
    uint8_t address[4];  /* of the frames that are ours: IPv4 target of UDP, and of ARP */
    uint16_t port_first; /* their UDP target ports */
    uint16_t nb_ports;
    bool without_arp; /* the kernel has the address, and answers ARP */
};

struct xsk;

const char *xsk_open(struct xsk **xsk, const struct xsk_config *config);

/* The address of the interface. */
void xsk_mac(const struct xsk *xsk, uint8_t mac[6]);

/* Whether the interface is up and has a carrier, and the kernel kept to the rules of the rings. */
bool xsk_up(const struct xsk *xsk);

/* "native" or "generic": where the XDP program runs. */
const char *xsk_mode(const struct xsk *xsk);

bool xsk_is_zero_copy(const struct xsk *xsk);

/* As the functions of xsk_rings.h, with the system calls that the kernel wants. */
unsigned xsk_lend(struct xsk *xsk, struct xsk_frame *rooms, unsigned nb);
void xsk_send(struct xsk *xsk, const struct xsk_frame *frames, unsigned nb);
unsigned xsk_receive(struct xsk *xsk, struct xsk_frame *frames, unsigned nb);
void xsk_return(struct xsk *xsk);

/* The same for a server, which forwards (xsk_rings.h). */
unsigned xsk_take(struct xsk *xsk, struct xsk_frame *frames, unsigned nb);
unsigned xsk_alloc(struct xsk *xsk, struct xsk_frame *frames, unsigned nb);
unsigned xsk_forward(struct xsk *xsk, const struct xsk_frame *frames, unsigned nb);
void xsk_free(struct xsk *xsk, const struct xsk_frame *frames, unsigned nb);

/* Sleep until a frame has arrived, at most `ns` (less than a second). */
void xsk_wait(struct xsk *xsk, uint64_t ns);

void xsk_stats(const struct xsk *xsk, struct xsk_stats *stats);

void xsk_close(struct xsk *xsk);

#endif
