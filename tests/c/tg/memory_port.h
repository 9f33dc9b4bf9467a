/* SPDX-License-Identifier: BSD-3-Clause */
/* A port in memory, with the service behind it: a store that keeps every value, or an echo. Every
 * request is answered at once; one reply can be harmed. */
#ifndef NEARMETAL_TEST_MEMORY_PORT_H
#define NEARMETAL_TEST_MEMORY_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include "port.h"

#define MEMORY_KEYS 500u
#define MEMORY_ROOM_BYTES 2048u
#define MEMORY_QUEUE 256u

struct memory_value {
    uint32_t bytes;
    uint8_t data[MEMORY_ROOM_BYTES];
};

struct memory_room {
    uint32_t flow, len;
    uint8_t data[MEMORY_ROOM_BYTES];
};

struct port {
    bool echo;
    struct memory_room requests[PORT_BURST_MAX], replies[MEMORY_QUEUE];
    uint32_t next, end; /* replies not yet received: [next, end) */
    uint64_t digest;    /* of all requests, with their flows */
    uint64_t nb_requests;
    /* Harm the next reply that begins with this letter (behind the frame) and has this length: flip
     * a bit of the byte at harm_at. 0: none. */
    char harm_letter;
    uint32_t harm_len, harm_at;
    bool harmed;
    bool seen[128][MEMORY_ROOM_BYTES]; /* by letter and length of replies */
    struct memory_value values[MEMORY_KEYS];
};

void memory_port_init(struct port *port, bool echo);

#endif
