/* SPDX-License-Identifier: BSD-3-Clause */
/* A wire in memory: the test puts frames in and reads those that were sent. */
#ifndef NEARMETAL_TEST_FAKE_WIRE_H
#define NEARMETAL_TEST_FAKE_WIRE_H

#include "wire.h"

#define FAKE_FRAMES 512u

struct fake_frame {
    uint32_t len;
    uint8_t *data; /* exactly len bytes: a sanitizer sees a read past them */
};

struct fake_wire {
    struct fake_frame in[FAKE_FRAMES], out[FAKE_FRAMES];
    unsigned nb_in, next_in, nb_returned, nb_out;
    unsigned nb_rooms;   /* how many more wire_lend gives */
    uint32_t room_bytes; /* of each */
    uint8_t *rooms[FAKE_FRAMES];
    bool up;
};

extern struct fake_wire fake;

/* Reset the wire: no frames, link up, unlimited rooms. */
void fake_reset(void);

/* Add a frame for the generator to receive. */
void fake_put(const uint8_t *data, uint32_t len);

#endif
