/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The loop of nm-relay: frames between a vhost-user server and a carrier, up to 64 each way per
 * turn. When there are none it sleeps: one ppoll on kicks, vhost-user socket and carrier.
 *
 * Without a server, frames for it are dropped. While a server has no free buffer, frames for it
 * stay in the carrier.
 */
#ifndef NEARMETAL_RELAY_LOOP_H
#define NEARMETAL_RELAY_LOOP_H

#include <signal.h>

#include "carrier.h"

struct relay {
    struct vhost_device *device; /* opened with config.sleeps */
    const struct carrier *carrier;
    const volatile sig_atomic_t *stop;
    void (*say)(const char *event); /* "up", "down": the server connected or left */
    uint64_t sleep_ns;              /* limit of an idle sleep */
    bool up;
    bool gone;             /* the carrier was removed */
    uint64_t nb_dropped;   /* no server, no reader, or an invalid length */
    uint64_t nb_overslept; /* sleeps that timed out although there were frames; 0, unless one
                            * arrived at that moment */
};

/* Run until *stop is set or the carrier is removed. */
void relay_run(struct relay *relay);

#endif
