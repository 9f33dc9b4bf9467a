/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract of a datapath: one way to receive and send bursts of UDP datagrams.
 *
 * Implemented by datapath/<name>.c, chosen at link time: one program per datapath and service, and
 * nothing indirect in the loop. serve.c is the only caller. There are two levels: a datagram
 * datapath (sock, mmsg) implements this header itself; a frame datapath (dpdk) implements frames.h,
 * and frames/udp.c implements this header on top of it.
 *
 * Call order: open, then any number of turns, then close. A turn is
 *
 *     rx_burst  ->  ahead  ->  { lend -> service_handle_burst -> tx_burst } while more  ->  release
 *
 * Errors: open returns NULL, or one sentence for the user (what, where, what to do). After that
 * nothing fails: what could not be received or sent is a count in stats.
 *
 * Ownership: the buffers behind requests[] are the service's from rx_burst until release; a
 * datapath may lend the request's own buffer as its room. Spares are lent per tx_burst: they come
 * back, sent or not, when tx_burst returns.
 *
 * Blocking: only rx_burst may block, at most DATAPATH_WAIT_NS, and only where config.poll is false
 * and nothing is waiting. tx_burst never blocks for longer than the kernel takes to queue.
 */
#ifndef NEARMETAL_DATAPATH_H
#define NEARMETAL_DATAPATH_H

#include <stdbool.h>
#include <stdint.h>

#include "service.h"

#define DATAPATH_WAIT_NS 100000000u

struct datapath_config {
    struct source listen; /* address (all zero or ::ffff:0.0.0.0: wildcard) and port (0: any) */
    unsigned batch;       /* most requests of one rx_burst, 1..SERVICE_BURST_MAX */
    bool segment;         /* mmsg: replies to one peer leave as one message (UDP_SEGMENT) */
    bool poll;            /* never sleep */
    char *const *args;    /* what stood behind `--`: the datapath's own, as EAL arguments */
    int nb_args;
};

struct datapath_stats {
    uint64_t nb_syscalls;    /* made in turns; 0 where there are none */
    uint64_t nb_rx_errors;   /* receive calls that failed for another reason than "nothing there" */
    uint64_t nb_tx_errors;   /* send calls that failed */
    uint64_t nb_tx_unjoined; /* messages of several replies that were refused: each went alone */
    uint64_t nb_empty_rx;    /* turns that found nothing */
    uint64_t busy_cycles;    /* TSC cycles of turns that found something; 0 where not counted: */
    uint64_t empty_cycles;   /* of turns that found nothing. Frame datapaths count both. */
};

struct datapath;

/* "sock", "mmsg", ...: the same word as the file, the spec row and the result row. */
extern const char datapath_name[];

const char *datapath_open(struct datapath **datapath, const struct datapath_config *config);

/* The address that open bound, with the port it got. */
struct source datapath_listen(const struct datapath *datapath);

/* Fill requests[0..returned); 0 when nothing came within the wait, or a signal arrived. */
unsigned datapath_rx_burst(struct datapath *datapath, struct request *requests, unsigned nb);

/*
 * Of requests that have come and will be of the next bursts, those that were not told before, in
 * their order: data and len, for service_ahead; nothing is known of them but where they lie. 0
 * where requests are not known before they are received.
 */
unsigned datapath_ahead(struct datapath *datapath, struct request *requests, unsigned nb);

/* Set spare and slot of replies[0..returned), returned >= 1. Those that are sent may be fewer, in
 * the same order. */
unsigned datapath_lend(struct datapath *datapath, struct reply *replies, unsigned nb);

/* Send; sent[i] says whether reply i left. */
void datapath_tx_burst(struct datapath *datapath, const struct reply *replies, unsigned nb,
                       bool *sent);

/* The turn is over: the buffers behind the last rx_burst are the datapath's again. */
void datapath_release(struct datapath *datapath);

void datapath_stats(const struct datapath *datapath, struct datapath_stats *stats);

void datapath_close(struct datapath *datapath);

#endif
