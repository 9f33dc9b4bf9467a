/* SPDX-License-Identifier: BSD-3-Clause */
/* A port in memory for the load replay: every request is answered at once from its record; one
 * reply can be harmed. The bits that no mask covers are random in every reply. */
#ifndef NEARMETAL_TEST_REPLAY_PORT_H
#define NEARMETAL_TEST_REPLAY_PORT_H

#include "loop.h"
#include "replay_file.h"

#define NB_BEFORE 5u
#define NB_RECORDS 40u
#define NB_ALL (NB_BEFORE + NB_RECORDS)
#define REQUEST_ID_AT 1u /* byte 0 is the number of the record in the file */
#define BYTES_MAX 256u
#define QUEUE 256u

enum harm {
    HARM_NONE,
    HARM_BIT,
    HARM_CUT,
    HARM_LONGER,
    HARM_OTHER,
    HARM_ID,
    HARM_DROP,
    HARM_TWICE
};

struct known {
    uint32_t request_bytes, reply_bytes;
    uint8_t request[BYTES_MAX], reply[BYTES_MAX], mask[BYTES_MAX];
};

struct room {
    uint32_t flow, len;
    uint8_t data[2 * BYTES_MAX];
};

struct port {
    const struct loop *loop; /* that uses it */
    struct room requests[PORT_BURST_MAX], replies[QUEUE];
    uint32_t next, end; /* replies not yet received: [next, end) */
    uint32_t nb_held;   /* `before`: polls that still find no reply */
    uint32_t nb_asked[NB_ALL];
    uint64_t nb_requests, digest;
    /* Harm the next reply of a record. */
    enum harm harm;
    uint32_t harm_record, harm_at;
    uint64_t nb_unchecked; /* bytes of replies without harm */
};

/* The records, those of `before` first, and where their replies have the id and the number. */
extern struct known records[NB_ALL];
extern uint32_t reply_id_at, mark_at;

/* Make the records, and their file as the generator reads it. */
void records_open(struct replay_file *file, uint32_t id_at);

void replay_port_init(struct port *port, const struct loop *loop);

/* Make the right reply to a request with this id; returns how many of its bytes are not compared.
 */
uint32_t reply_make(struct room *reply, const struct known *known, const uint8_t *id);

#endif
