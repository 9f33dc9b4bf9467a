/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop of nm-relay: frames between a vhost-user server and a carrier, up to 64 each way a turn,
 * and asleep when there are none: one ppoll on kicks, vhost-user socket and carrier.
 *
 * While there is no server, what comes for it is dropped. A server without a buffer is waited for;
 * what is said to it stays in the carrier.
 */
#ifndef NEARMETAL_RELAY_LOOP_H
#define NEARMETAL_RELAY_LOOP_H

#include <signal.h>

#include "carrier.h"

struct relay {
    struct vhost_device *device; /* for a user who sleeps */
    const struct carrier *carrier;
    const volatile sig_atomic_t *stop;
    void (*say)(const char *event); /* "up", "down": the server came, or went */
    uint64_t sleep_ns;              /* at most, when idle */
    bool up;
    bool gone;             /* the carrier is no more */
    uint64_t nb_dropped;   /* no server, no reader, or no frame */
    uint64_t nb_overslept; /* sleeps that their time ended, and yet there were frames: 0, but where
                            * one came in that moment */
};

/* Until *stop is set, or the carrier has gone. */
void relay_run(struct relay *relay);

#endif
