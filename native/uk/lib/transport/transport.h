/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * transport: where a network device's rings and memory come from, and how it is told and tells.
 *
 * Implemented by <form>.c of this folder, chosen at link time: `process` has them from a tender
 * that speaks vhost-user (control.h). datapath/netdev.c is the only caller.
 *
 * Call order: open once; then begin, whenever *generation differs from what begin last returned.
 * The rings that begin hands out are empty and the driver's from then on, until *generation
 * changes: it looks at every turn, and may go on with them within a turn. What it knows of them is
 * void at the next begin. The buffers remain, with what is in them.
 *
 * Errors: open returns NULL, or one sentence for the user. After that nothing fails: a device that
 * has gone is a link that is down, and another may come.
 *
 * Blocking: only wait.
 */
#ifndef NEARMETAL_UK_TRANSPORT_H
#define NEARMETAL_UK_TRANSPORT_H

#include "vhost_layout.h"

enum { TRANSPORT_RX = VHOST_FRONT_RX, TRANSPORT_TX = VHOST_FRONT_TX, TRANSPORT_RINGS = 2 };

struct transport {
    const _Atomic uint32_t *generation;
    uint8_t *buffers;        /* memory for frames, from a page's beginning on */
    uint64_t buffers_device; /* its address as the device knows it */
    size_t buffers_bytes;
    uint32_t ring_size;
    uint8_t mac[6];
};

struct transport_link {
    bool up;
    uint32_t generation;
    uint64_t features; /* agreed upon with this device */
    struct vring rings[TRANSPORT_RINGS];
};

const char *transport_open(struct transport *transport);

void transport_begin(struct transport_link *link);

/* The device wants to be told of what is in this ring. */
void transport_kick(unsigned ring);

/* Sleep until the device calls, or *generation or the stop flag changes; at most `ns`. May return
 * early. Returns whether the device can call at all. */
bool transport_wait(uint64_t ns);

/* System calls made by kick and wait; 0 where there is no system. */
uint64_t transport_syscalls(void);

#endif
