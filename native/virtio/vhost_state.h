/* SPDX-License-Identifier: BSD-3-Clause */
/* The state of the device side, shared by its two halves: vhost_device.c (the connection and the
 * interface) and vhost_messages.c (the front end's messages). */
#ifndef NEARMETAL_VHOST_STATE_H
#define NEARMETAL_VHOST_STATE_H

#include "vhost_device.h"
#include "vhost_ring.h"
#include "vhost_user.h"

enum { ROOMS = 0, FRAMES = 1, NB_RINGS = 2 };

/* The set-up of a ring, as the front end's messages gave it. */
struct told {
    uint32_t size;
    bool has_addr, kicked, enabled;
    struct vhost_user_addr addr;
    int kick_fd;
    bool running;
    uint16_t base; /* first buffer not returned when the ring stopped */
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
    bool agreed;         /* on features: a legacy driver may have none */
    uint64_t connect_ns; /* no attempt to connect before this time */
    uint64_t nb_connections, nb_kicks;
};

/* Handle one message. Returns whether the connection may continue. */
bool vhost_message_handle(struct vhost_device *device, struct vhost_user_message *message);

/* Stop both rings: rooms lent and frames received become invalid and are not returned. */
void vhost_rings_stop(struct vhost_device *device);

#endif
