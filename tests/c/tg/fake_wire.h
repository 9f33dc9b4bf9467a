/* SPDX-License-Identifier: BSD-3-Clause */
/* A wire in memory: the test puts frames in and looks at those that left. */
#ifndef NEARMETAL_TEST_FAKE_WIRE_H
#define NEARMETAL_TEST_FAKE_WIRE_H

#include "wire.h"

#define FAKE_FRAMES 512u

struct fake_frame {
    uint32_t len;
    uint8_t *data; /* of exactly len bytes, so that a sanitizer sees a byte too far */
};

struct fake_wire {
    struct fake_frame in[FAKE_FRAMES], out[FAKE_FRAMES];
    unsigned nb_in, next_in, nb_returned, nb_out;
    unsigned nb_rooms;   /* how many more are to be had */
    uint32_t room_bytes; /* of each */
    uint8_t *rooms[FAKE_FRAMES];
    bool up;
};

extern struct fake_wire fake;

/* Forget everything; up, rooms without end. */
void fake_reset(void);

/* A frame for the generator to receive. */
void fake_put(const uint8_t *data, uint32_t len);

#endif
