/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract of a service: a burst of requests in, a burst of replies out.
 *
 * Implemented by service/<name>.c of each row of the table of services
 * (src/nearmetal/spec/services), chosen at link time. A service touches no socket, no frame and no
 * clock; it allocates nothing after service_open and uses no libc beyond what a freestanding build
 * has (memcpy, memmove, memset, memcmp).
 *
 * Errors: service_open returns NULL, or one sentence for the user. Nothing else can fail: every
 * request ends with `drop` set, DROP_NONE meaning that at least one reply was written.
 *
 * Ownership: requests, their bytes and their rooms belong to the datapath. They are the service's
 * from the call until the call that returns with *more false; replies[] and the spare rooms are
 * the service's only during each call.
 *
 * One thread calls one service. Nothing here blocks.
 */
#ifndef NEARMETAL_SERVICE_H
#define NEARMETAL_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "drop.h"

/* Most bytes of one reply datagram, memcached's frame header included (memcached's own limit). */
#define SERVICE_DATAGRAM_BYTES 1400u
/* Most requests of one burst. */
#define SERVICE_BURST_MAX 64u
/* Most datagrams of one reply. */
#define SERVICE_REPLY_DATAGRAMS_MAX 64u
/* A reply to a source that is not trusted is at most this many times its request (QUIC's rule,
 * RFC 9000, 8.1). */
#define SERVICE_AMPLIFY_MAX 3u
/* Smallest memory a service may be given, in bytes. */
#define SERVICE_MEMORY_BYTES_MIN (1u << 20)
/* Most counters of a service, and the bytes of a name with its end. */
#define SERVICE_COUNTERS_MAX 16
#define SERVICE_NAME_BYTES 16

struct source {
    uint8_t addr[16]; /* network order; IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2) */
    uint16_t port;    /* host order */
};

#define REQUEST_ADMIN 1u   /* may administer the service */
#define REQUEST_TRUSTED 2u /* may be sent more than 3 x the request */

struct request {
    const uint8_t *data; /* UDP payload */
    uint32_t len;        /* bytes */
    struct source source;
    uint8_t rights;      /* of the source: REQUEST_* (program/admission.h) */
    uint8_t *room;       /* where the first reply goes; may be == data, which is then lost */
    uint32_t room_bytes; /* >= SERVICE_DATAGRAM_BYTES, and >= len where room == data */
    /* In: DROP_NONE, or why serve.c or the datapath have dropped it: then the service skips it.
     * Out. */
    enum drop_reason drop;
};

/* Most bytes of all reply datagrams of a request together. */
static inline uint32_t request_reply_bytes_max(const struct request *request)
{
    return (request->rights & REQUEST_TRUSTED) != 0 ? UINT32_MAX
                                                    : SERVICE_AMPLIFY_MAX * request->len;
}

struct reply {
    uint8_t *spare;   /* in: SERVICE_DATAGRAM_BYTES of room, for a reply that is not the first */
    uint8_t *data;    /* out: the request's room, or spare */
    uint32_t len;     /* out: bytes */
    uint16_t request; /* out: index of the request it answers */
    uint16_t slot;    /* in: which of those that were lent; the datapath's own */
};

struct service_config {
    void *memory;          /* 64-byte aligned, zeroed; all the memory the service ever has */
    uint64_t memory_bytes; /* >= SERVICE_MEMORY_BYTES_MIN */
    uint8_t seed[16];      /* random: keys the hash against flooding */
    uint64_t now_ns;       /* as in service_handle_burst */
    uint32_t pid;          /* for whom a service tells it */
};

struct service; /* lives at the start of config.memory */

/* What is printed of a service, made of its row by the build (service/row.c.in): fixed texts, so
 * that a tender and a control page need not know whose they are. Behind the last name there are
 * empty ones. */
struct service_words {
    char name[SERVICE_NAME_BYTES];
    char counters[SERVICE_COUNTERS_MAX][SERVICE_NAME_BYTES];
    char drops[SERVICE_DROPS_MAX][SERVICE_NAME_BYTES]; /* of DROP_SERVICE and those behind it */
};

extern const struct service_words service_words;

/* What is shorter is no request: serve.c drops it. */
extern const uint32_t service_request_bytes_min;

const char *service_open(struct service **service, const struct service_config *config);

/*
 * Called once for each request, before its burst is admitted and handled: with a burst or, where a
 * datapath knows what will be of the next one, a burst earlier. A service may begin to fetch what
 * it will read and overwrite (fetch.h): the datapath fetched no more than headers, if any. Only
 * data and len are set, and the bytes may still be under way: what is read here is waited for.
 * Nothing is written or counted. A request that is dropped later is among them; its len is at most
 * that of a datagram.
 */
void service_ahead(const struct service *service, const struct request *requests,
                   unsigned nb_requests);

/*
 * Handle a burst.
 *
 * now_ns: Unix time in nanoseconds, never going back; refreshed by serve.c, not on every call.
 * requests[0..nb_requests): nb_requests <= SERVICE_BURST_MAX.
 * replies[0..nb_replies): slots with a spare each; nb_replies >= 1.
 *
 * Returns the number of slots filled, in order of requests. Replies that exceed
 * request_reply_bytes_max do not leave (program/admission.h): a service that has something shorter
 * to say says it instead. When the slots do not suffice, *more is
 * set: send what was returned, then call again with the same requests array, nb_requests = 0 and
 * fresh slots, until *more is false. `drop` of each request is valid from then on.
 *
 * A room that is also the request's data is written only after that request was read for the last
 * time, so a datapath may lend each request's own buffer.
 */
unsigned service_handle_burst(struct service *service, uint64_t now_ns, struct request *requests,
                              unsigned nb_requests, struct reply *replies, unsigned nb_replies,
                              bool *more);

/* For the final line and the metrics, in the order of service_words. */
struct service_counters {
    uint64_t values[SERVICE_COUNTERS_MAX];
};

void service_counters(const struct service *service, struct service_counters *counters);

#endif
