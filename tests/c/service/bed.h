/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A test bed: a service in its own memory that receives one datagram or one burst at a time.
 *
 * Every request lies in a heap block of exactly its length, so that AddressSanitizer detects a read
 * past its end; replies are written to rooms of exactly the promised size. With `alias`, the room
 * is the request's own buffer instead, as with datapaths.
 */
#ifndef NEARMETAL_TEST_BED_H
#define NEARMETAL_TEST_BED_H

#include "admission.h"
#include "service.h"

#define BED_START_NS 1700000000000000000ull
#define BED_MESSAGE_BYTES (SERVICE_REPLY_DATAGRAMS_MAX * SERVICE_DATAGRAM_BYTES)

enum bed_who { BED_ADMIN, BED_USER, BED_UNTRUSTED, BED_STRANGER };

struct bed {
    void *memory;
    struct service *service;
    struct admission admission;
    struct admission_sent sent;
    uint64_t now_ns;
    enum bed_who who;  /* source of the next requests */
    bool alias;        /* lend the requests' own buffers */
    unsigned nb_slots; /* for each call; default SERVICE_BURST_MAX */
    /* Results of the last bed_ask: */
    enum drop_reason drop;
    unsigned nb_datagrams;
    uint32_t message_bytes;
    uint8_t message[BED_MESSAGE_BYTES]; /* datagrams joined, frames checked and cut off */
};

/* Open a bed that is all zero; or open an open bed again, empty and in the same memory. */
void bed_open(struct bed *bed, uint64_t memory_bytes);
void bed_close(struct bed *bed);

/* Call the service as serve.c does: a new burst is admitted first. */
unsigned bed_handle_burst(struct bed *bed, struct request *requests, unsigned nb_requests,
                          struct reply *replies, unsigned nb_replies, bool *more);

/* Send one datagram behind a frame with a fixed id; check the reply's frames. */
void bed_ask_bytes(struct bed *bed, const void *data, uint32_t nb_bytes);

/* Send a text as bed_ask_bytes does; the answer must be the second text. */
void bed_expect(struct bed *bed, const char *text, const char *answer);

/* Send a whole datagram, its frame included. */
void bed_ask_raw(struct bed *bed, const void *datagram, uint32_t nb_bytes);

struct source bed_source(enum bed_who who);

#endif
