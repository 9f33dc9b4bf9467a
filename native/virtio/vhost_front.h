/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front end of vhost-user: gives a back end our memory and two rings in it, and keeps one queue
 * pair ready. It is the transport of programs that contain the driver themselves.
 *
 * The memory is one memfd, in 2 MiB pages where wanted and free, sealed against shrinking. The
 * memory and the places of the rings in it last as long as the front end; back ends may connect and
 * leave.
 *
 * Call order: open, then connect (waits for a back end and does the handshake), then the rings are
 * the driver's (vring_driver.h). lost() reports that the back end left; after that, connect begins
 * anew with empty rings.
 *
 * Errors: open returns NULL or one sentence; connect false when stopped or refused.
 */
#ifndef NEARMETAL_VHOST_FRONT_H
#define NEARMETAL_VHOST_FRONT_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vhost_layout.h"

struct vhost_front_config {
    const char *path;
    bool listen;    /* false: connect to a back end that listens, with retries */
    bool events;    /* use EVENT_IDX if the back end offers it */
    bool hugepages; /* memory from the kernel's pool of 2 MiB pages, if enough are free */
    bool called;    /* the driver may sleep: the back end gets call_fd for frames */
    uint32_t ring_size;
    size_t buffers_bytes; /* memory for frames, behind the rings */
};

struct vhost_front {
    struct vhost_front_config config;
    int listener, socket, memory_fd;
    uint8_t *memory; /* also guest-physical address 0 */
    size_t memory_bytes;
    struct vring rings[VHOST_FRONT_RINGS];
    int kick_fds[VHOST_FRONT_RINGS];
    int call_fd; /* -1: none */
    uint8_t *buffers;
    uint64_t buffers_guest; /* their guest-physical address */
    uint64_t features;      /* agreed with this back end */
};

const char *vhost_front_open(struct vhost_front *front, const struct vhost_front_config *config);

/* Wait until a back end is connected and agrees, or *stop is set by a signal. Returns false if
 * stopped; may be called again. */
bool vhost_front_connect(struct vhost_front *front, const volatile sig_atomic_t *stop);

/* Like vhost_front_connect, without waiting. Returns whether a back end is connected and agrees. */
bool vhost_front_try(struct vhost_front *front);

/* Give the rings to the back end, with the buffers that the driver has put into them. */
bool vhost_front_start(struct vhost_front *front);

/* Whether the back end has left. A system call: not for every burst. */
bool vhost_front_lost(struct vhost_front *front);

/* Disconnect from the back end. */
void vhost_front_disconnect(struct vhost_front *front);

void vhost_front_kick(const struct vhost_front *front, unsigned ring);

void vhost_front_close(struct vhost_front *front);

#endif
