/* SPDX-License-Identifier: BSD-3-Clause */
/* A device side and a front end, joined by a socket in a folder of its own. */
#ifndef NEARMETAL_TEST_FRONT_BED_H
#define NEARMETAL_TEST_FRONT_BED_H

#include "vhost_device.h"
#include "vhost_front.h"
#include "vhost_user.h"
#include "vring_driver.h"

enum { SIZE = 256, ROOM = 1536, FRAME = 60 };

struct front_bed {
    char folder[64], path[96];
    struct vhost_device *device;
    struct vhost_front front;
    struct vring_driver rx, tx;
    uint16_t rx_order[SIZE], tx_order[SIZE];
    bool legacy; /* a driver from before virtio 1 */
};

void front_bed_open(struct front_bed *bed);

/* Close the connection and all else; CHECK that no descriptor and no file is left. */
void front_bed_close(struct front_bed *bed);

/* Let the device handle the messages sent. */
void front_bed_control(struct front_bed *bed);

/* Return the number of descriptors that this process has open. */
unsigned front_bed_open_fds(void);

/* Open a new connection, without any message. */
void front_bed_dial(struct front_bed *bed);

/* Open a new connection with a complete, correct handshake; the rings are filled with rooms. */
void front_bed_shake_hands(struct front_bed *bed);

/* Pass eight frames in each direction. */
void front_bed_check_works(struct front_bed *bed);

void front_bed_send_message(struct front_bed *bed, const struct vhost_user_message *message);
void front_bed_send_u64(struct front_bed *bed, uint32_t request, uint64_t value);
void front_bed_send_state(struct front_bed *bed, uint32_t request, uint32_t ring, uint32_t value);

#endif
