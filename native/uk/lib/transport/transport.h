/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * transport: the rings and the memory of a network device, and the notifications in both
 * directions.
 *
 * Implemented by <form>.c of this folder, chosen at link time: `process` gets them from a tender
 * that speaks vhost-user (control.h), `pc` from a virtio device (lib/virtio). datapath/netdev.c is
 * the only caller.
 *
 * Call order: open once; then begin, whenever *generation differs from the value that begin last
 * returned. begin hands out empty rings, which the driver owns until *generation changes. The
 * driver checks *generation at every turn, and may finish the turn on the old rings. At the next
 * begin all state of the rings is void; the buffers and their content remain.
 *
 * Errors: open returns NULL, or one sentence for the user. After that no call fails: a device that
 * has left is a link that is down, and another device may follow.
 *
 * Blocking: only wait.
 */
#ifndef NEARMETAL_UK_TRANSPORT_H
#define NEARMETAL_UK_TRANSPORT_H

#include "vhost_layout.h"

enum { TRANSPORT_RX = VHOST_FRONT_RX, TRANSPORT_TX = VHOST_FRONT_TX, TRANSPORT_RINGS = 2 };

struct transport {
    const _Atomic uint32_t *generation;
    uint8_t *buffers;        /* memory for frames, page-aligned */
    uint64_t buffers_device; /* address of `buffers` for the device */
    size_t buffers_bytes;
    uint32_t ring_size;
    uint8_t mac[6];
};

struct transport_link {
    bool up;
    uint32_t generation;
    uint64_t features; /* negotiated with this device */
    struct vring rings[TRANSPORT_RINGS];
};

const char *transport_open(struct transport *transport);

void transport_begin(struct transport_link *link);

/* Notify the device that this ring has new entries. */
void transport_kick(unsigned ring);

/* Sleep until the device calls, or *generation or the stop flag changes; at most `ns`. May return
 * early. Returns whether the device can call at all. */
bool transport_wait(uint64_t ns);

/* Number of system calls made by kick and wait; 0 where there is no operating system. */
uint64_t transport_syscalls(void);

#endif
