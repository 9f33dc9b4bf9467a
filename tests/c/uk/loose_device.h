/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * An honest device that has not agreed to IN_ORDER and makes use of that: it gives buffers back in
 * any order. Frames are sent and received in their order all the same, as that of the used entries
 * and that of the available ones is.
 */
#ifndef NEARMETAL_TEST_LOOSE_DEVICE_H
#define NEARMETAL_TEST_LOOSE_DEVICE_H

#include "netdev_bed.h"

struct loose {
    unsigned ring;
    uint16_t seen, used; /* counts for ever: heads taken, given back */
    unsigned nb_have;
    uint16_t have[BED_SIZE_MAX]; /* heads that are the device's */
    uint64_t random;
};

/* After each link's beginning. */
void loose_start(struct loose *loose, unsigned ring);

/* Up to nb rooms, any of those there; then the first nb of them go, with so many bytes each. */
unsigned loose_lend(struct loose *loose, struct vhost_frame *rooms, unsigned nb);
void loose_send(struct loose *loose, const struct vhost_frame *frames, unsigned nb);

/* Up to nb frames, oldest first; then any nb of those received so far go back. */
unsigned loose_receive(struct loose *loose, struct vhost_frame *frames, unsigned nb);
void loose_return(struct loose *loose, unsigned nb);

#endif
