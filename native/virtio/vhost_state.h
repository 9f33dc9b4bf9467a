/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the device side knows, shared by its two halves: vhost_device.c (connection, and what its
 * user calls) and vhost_messages.c (what the front end says).
 */
#ifndef NEARMETAL_VHOST_STATE_H
#define NEARMETAL_VHOST_STATE_H

#include "vhost_device.h"
#include "vhost_ring.h"
#include "vhost_user.h"

enum { ROOMS = 0, FRAMES = 1, NB_RINGS = 2 };

/* What the front end has said of a ring. */
struct told {
    uint32_t size;
    bool has_addr, kicked, enabled;
    struct vhost_user_addr addr;
    int kick_fd;
    bool running;
    uint16_t base; /* first buffer not returned, when the ring stopped */
};

struct vhost_device {
    bool up;
    struct vhost_ring rings[NB_RINGS];
    struct vhost_memory memory, retired;
    struct told told[NB_RINGS];
    struct vhost_config config;
    int listener, socket;
    struct vhost_user_reader reader;
    uint64_t features, protocol_features;
    bool agreed;         /* on features: a legacy driver's may be none */
    uint64_t connect_ns; /* not before then */
    uint64_t nb_connections, nb_kicks;
};

/* Do what one message says. Returns whether the front end may stay. */
bool vhost_message_handle(struct vhost_device *device, struct vhost_user_message *message);

/* What was lent or received is void: nothing of it goes back. */
void vhost_rings_stop(struct vhost_device *device);

#endif
