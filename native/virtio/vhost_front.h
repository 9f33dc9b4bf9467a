/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front end of vhost-user: gives a back end our memory and two rings in it, and keeps one queue
 * pair ready. Transport of programs that are the driver themselves.
 *
 * Memory is one memfd, in 2 MiB pages where the kernel has some to spare, sealed against shrinking.
 * It and the rings' places in it last as long as the front end; a back end may come and go.
 *
 * Call order: open, then connect (waits for a back end and does the handshake), then the rings are
 * the driver's (vring_driver.h). lost() says that the back end left; after that connect begins anew
 * with rings that are empty again.
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
    bool listen;    /* false: connect to a back end that listens, again and again until one does */
    bool events;    /* EVENT_IDX is wanted where it is offered */
    bool hugepages; /* memory in pages of the kernel's 2 MiB pool, where it has enough */
    bool called;    /* the driver may sleep: the back end gets call_fd for frames */
    uint32_t ring_size;
    size_t buffers_bytes; /* of memory for frames, behind the rings */
};

struct vhost_front {
    struct vhost_front_config config;
    int listener, socket, memory_fd;
    uint8_t *memory; /* also its guest-physical address 0 */
    size_t memory_bytes;
    struct vring rings[VHOST_FRONT_RINGS];
    int kick_fds[VHOST_FRONT_RINGS];
    int call_fd; /* -1: none */
    uint8_t *buffers;
    uint64_t buffers_guest; /* their guest-physical address */
    uint64_t features;      /* agreed upon with this back end */
};

const char *vhost_front_open(struct vhost_front *front, const struct vhost_front_config *config);

/* Until *stop is set, by a signal, or a back end is there and agrees. False: the former; may be
 * called again. */
bool vhost_front_connect(struct vhost_front *front, const volatile sig_atomic_t *stop);

/* The same without waiting: is a back end there now that agrees? */
bool vhost_front_try(struct vhost_front *front);

/* The rings hold what the driver wants to begin with: let the back end have them. */
bool vhost_front_start(struct vhost_front *front);

/* Has the back end left? A system call: ask now and then. */
bool vhost_front_lost(struct vhost_front *front);

/* Let go of the back end. */
void vhost_front_disconnect(struct vhost_front *front);

void vhost_front_kick(const struct vhost_front *front, unsigned ring);

void vhost_front_close(struct vhost_front *front);

#endif
