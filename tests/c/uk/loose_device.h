/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An honest device that has not negotiated IN_ORDER and returns buffers in any order. Frames are
 * still sent and received in order: that of the used entries, and that of the available entries.
 */
#ifndef NEARMETAL_TEST_LOOSE_DEVICE_H
#define NEARMETAL_TEST_LOOSE_DEVICE_H

#include "netdev_bed.h"

struct loose {
    unsigned ring;
    uint16_t seen, used; /* free-running counts: heads taken, returned */
    unsigned nb_have;
    uint16_t have[BED_SIZE_MAX]; /* heads that the device owns */
    uint64_t random;
};

/* Call at the start of each link. */
void loose_start(struct loose *loose, unsigned ring);

/* Lend up to nb rooms, any of those available; then send the first nb of them, with these lengths.
 */
unsigned loose_lend(struct loose *loose, struct vhost_frame *rooms, unsigned nb);
void loose_send(struct loose *loose, const struct vhost_frame *frames, unsigned nb);

/* Receive up to nb frames, oldest first; then return any nb of those received so far. */
unsigned loose_receive(struct loose *loose, struct vhost_frame *frames, unsigned nb);
void loose_return(struct loose *loose, unsigned nb);

#endif
