/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A carrier of a relay's frames, on the side away from the server: one file for each kind. A relay
 * has one carrier, chosen when it starts.
 *
 * Call order: open, then any number of send, receive and fd, then close. Errors: open returns NULL
 * or one sentence for the user. Nothing blocks, except `send` within bounds that each kind
 * documents.
 *
 * Ownership: the caller owns frames and rooms and lends them for one call (vhost_device.h). A room
 * holds VHOST_ROOM_BYTES_MIN bytes.
 */
#ifndef NEARMETAL_CARRIER_H
#define NEARMETAL_CARRIER_H

#include <signal.h>
#include <stdbool.h>

#include "vhost_device.h"

#define CARRIER_BURST 64u /* most frames of one call */

struct carrier_received {
    unsigned nb_taken;  /* messages taken from the carrier */
    unsigned nb_frames; /* of them frames of a valid length, in the first rooms */
    bool gone;          /* the carrier was removed */
};

struct carrier {
    /* Open. Setting *stop ends a wait. */
    const char *(*open)(const char *name, const volatile sig_atomic_t *stop);
    int (*fd)(void); /* readable when there is something to receive */

    /* Send frames; returns how many left. The others are dropped. */
    unsigned (*send)(const struct vhost_frame *frames, unsigned nb);

    /* Receive frames into the rooms, from the first on; sets their lengths. */
    struct carrier_received (*receive)(struct vhost_frame *rooms, unsigned nb);
    void (*close)(void);
};

extern const struct carrier carrier_unix; /* datagrams at a path */
extern const struct carrier carrier_tap;  /* an existing tap device */

#endif
