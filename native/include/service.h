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
/* Replies to a source that is not trusted are together at most this many times as long as their
 * request (QUIC's rule, RFC 9000, 8.1). */
#define SERVICE_AMPLIFY_MAX 3u
/* Smallest memory a service may be given, in bytes. */
#define SERVICE_MEMORY_BYTES_MIN (1u << 20)
/* Most counters of a service, and bytes of a name, its terminating zero included. */
#define SERVICE_COUNTERS_MAX 16
#define SERVICE_NAME_BYTES 16
/* Most kinds of faults of which a service keeps the first. */
#define SERVICE_FAULTS_MAX 6
/* Bytes of the name of a service's file, its terminating zero included. */
#define SERVICE_FILE_BYTES 48

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
    uint8_t *room;       /* where the first reply is written; may be == data */
    uint32_t room_bytes; /* >= SERVICE_DATAGRAM_BYTES, and >= len where room == data */
    /* In: DROP_NONE, or why serve.c or the datapath has dropped the request; the service then skips
     * it. Out: the outcome. */
    enum drop_reason drop;
};

/* Return the most bytes that all reply datagrams of a request may have together. */
static inline uint32_t request_reply_bytes_max(const struct request *request)
{
    return (request->rights & REQUEST_TRUSTED) != 0 ? UINT32_MAX
                                                    : SERVICE_AMPLIFY_MAX * request->len;
}

struct reply {
    uint8_t *spare;   /* in: SERVICE_DATAGRAM_BYTES, for a reply that is not its request's first */
    uint8_t *data;    /* out: the request's room, or spare */
    uint32_t len;     /* out: bytes */
    uint16_t request; /* out: index of the request it answers */
    uint16_t slot;    /* in: which of the lent replies this is; private to the datapath */
};

struct service_config {
    void *memory;          /* 64-byte aligned, zeroed; all the memory the service ever has */
    uint64_t memory_bytes; /* >= SERVICE_MEMORY_BYTES_MIN */
    uint8_t seed[16];      /* random: keys the hash against flooding */
    uint64_t now_ns;       /* as in service_handle_burst */
    uint32_t pid;          /* shown by services that report a process number */
};

struct service; /* lives at the start of config.memory */

/*
 * The words printed of a service, generated from its row by the build (service/row.c.in). They are
 * of a fixed size, so that a tender and a control page can hold them for any service. Unused places
 * at the end of each list are empty.
 */
struct service_words {
    char name[SERVICE_NAME_BYTES];
    char counters[SERVICE_COUNTERS_MAX][SERVICE_NAME_BYTES];
    char drops[SERVICE_DROPS_MAX][SERVICE_NAME_BYTES]; /* [0] is the name of DROP_SERVICE */
};

extern const struct service_words service_words;

/* The length of the shortest request: serve.c drops anything shorter. */
extern const uint32_t service_request_bytes_min;

const char *service_open(struct service **service, const struct service_config *config);

/*
 * Prefetch for requests that follow. Called once for each request, before its burst is admitted and
 * handled: with its burst or, where a datapath sees the next burst early, one burst before. A
 * service may begin to fetch what it will read and overwrite (fetch.h): the datapath fetched no
 * more than headers, if any. Only data and len are set. The bytes may still be in transfer: reading
 * them here would stall. Nothing is written or counted. Requests that are dropped later are
 * included; len is at most that of a datagram.
 */
void service_ahead(const struct service *service, const struct request *requests,
                   unsigned nb_requests);

/*
 * Handle a burst.
 *
 * now_ns: Unix time in nanoseconds, never decreasing; refreshed by serve.c, not for every call.
 * requests[0..nb_requests): nb_requests <= SERVICE_BURST_MAX.
 * replies[0..nb_replies): slots with a spare each; nb_replies >= 1.
 *
 * Returns the number of slots filled, in order of requests. Replies that exceed
 * request_reply_bytes_max are not sent (program/admission.h): a service that has a shorter answer
 * gives that instead. When the slots do not suffice, *more is set: send what was returned, then
 * call again with the same requests array, nb_requests = 0 and fresh slots, until *more is false.
 * `drop` of each request is valid from then on.
 *
 * A room that is also the request's data is written only after the last read of that request, so a
 * datapath may lend each request's own buffer.
 */
unsigned service_handle_burst(struct service *service, uint64_t now_ns, struct request *requests,
                              unsigned nb_requests, struct reply *replies, unsigned nb_replies,
                              bool *more);

/* Where a fault of a service that was compiled from Python arose first. */
struct service_fault {
    uint32_t line;                 /* 0: there was no fault */
    uint16_t drop;                 /* the drop reason, less DROP_SERVICE */
    char file[SERVICE_FILE_BYTES]; /* relative to the service's folder; printable ASCII */
};

/* Values for the final line and the metrics, in the order of service_words; and faults, if any. */
struct service_counters {
    uint64_t values[SERVICE_COUNTERS_MAX];
    struct service_fault faults[SERVICE_FAULTS_MAX];
};

void service_counters(const struct service *service, struct service_counters *counters);

#endif
