/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a relay's frames are carried by, on the side that is not the server's: one file a kind.
 * A relay has one carrier; which one is chosen when it starts.
 *
 * Call order: open, then any number of send, receive and fd, then close. Errors: open returns NULL
 * or one sentence for the user. Nothing blocks, but for `send` within bounds that its kind names.
 *
 * Ownership: frames and rooms are the caller's, lent for one call (vhost_device.h). A room takes
 * VHOST_ROOM_BYTES_MIN bytes.
 */
#ifndef NEARMETAL_CARRIER_H
#define NEARMETAL_CARRIER_H

#include <signal.h>
#include <stdbool.h>

#include "vhost_device.h"

#define CARRIER_BURST 64u /* most frames of one call */

struct carrier_received {
    unsigned nb_taken; /* messages taken from the carrier */
    unsigned
        nb_frames; /* of them frames, in the first rooms; the others are of no frame's length */
    bool gone;     /* the carrier is no more */
};

struct carrier {
    /* `stop` ends a wait. */
    const char *(*open)(const char *name, const volatile sig_atomic_t *stop);
    int (*fd)(void); /* readable when there is something to receive */

    /* Returns how many of the frames left; the others are dropped. */
    unsigned (*send)(const struct vhost_frame *frames, unsigned nb);

    /* Frames that have come, into the rooms from the first on; sets their lengths. */
    struct carrier_received (*receive)(struct vhost_frame *rooms, unsigned nb);
    void (*close)(void);
};

extern const struct carrier carrier_unix; /* datagrams at a path */
extern const struct carrier carrier_tap;  /* a tap device that is there */

#endif
