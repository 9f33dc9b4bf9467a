/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract of a datapath: one way to receive and send bursts of UDP datagrams.
 *
 * Implemented by datapath/<name>.c and chosen at link time: each program has one datapath and one
 * service, and the loop makes no indirect call. serve.c is the only caller. There are two levels: a
 * datagram datapath (sock, mmsg) implements this header itself; a frame datapath (dpdk) implements
 * frames.h, and frames/udp.c implements this header on top of it.
 *
 * Call order: open, then any number of turns, then close. A turn is
 *
 *     rx_burst  ->  ahead  ->  { lend -> service_handle_burst -> tx_burst } while more  ->  release
 *
 * Errors: open returns NULL, or one sentence for the user (what, where, what to do). After open
 * nothing fails: what could not be received or sent is a count in stats.
 *
 * Ownership: the service owns the buffers behind requests[] from rx_burst until release; a datapath
 * may lend the request's own buffer as its room. Spares are lent for one tx_burst: when it returns,
 * the datapath owns them again, sent or not.
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
    char *const *args;    /* arguments behind `--`, for the datapath itself */
    int nb_args;
};

struct datapath_stats {
    uint64_t nb_syscalls;    /* made in turns; 0: the datapath makes none */
    uint64_t nb_rx_errors;   /* receive calls that failed for another reason than "nothing there" */
    uint64_t nb_tx_errors;   /* send calls that failed */
    uint64_t nb_tx_unjoined; /* messages of several replies that were refused: each went alone */
    uint64_t nb_empty_rx;    /* turns that received nothing */
    uint64_t busy_cycles;    /* TSC cycles of turns that received something. 0: not counted */
    uint64_t empty_cycles;   /* of turns that received nothing. Frame datapaths count both */
};

struct datapath;

/* "sock", "mmsg", ...: the same word as the file, the spec row and the result row. */
extern const char datapath_name[];

const char *datapath_open(struct datapath **datapath, const struct datapath_config *config);

/* Return the address that open bound, with the port it got. */
struct source datapath_listen(const struct datapath *datapath);

/* Fill requests[0..returned). Returns 0 when nothing arrived in time, or at a signal. */
unsigned datapath_rx_burst(struct datapath *datapath, struct request *requests, unsigned nb);

/*
 * Peek at requests that have arrived and will be part of the next bursts. Sets data and len, for
 * service_ahead: the bytes may be fetched, not read. Reports each request once, in their order.
 * Returns 0 where the datapath cannot see requests before it receives them.
 */
unsigned datapath_ahead(struct datapath *datapath, struct request *requests, unsigned nb);

/* Set spare and slot of replies[0..returned), returned >= 1. The caller may send fewer of them, in
 * the same order. */
unsigned datapath_lend(struct datapath *datapath, struct reply *replies, unsigned nb);

/* Send nb replies; sent[i] is set to whether reply i left. */
void datapath_tx_burst(struct datapath *datapath, const struct reply *replies, unsigned nb,
                       bool *sent);

/* End the turn: the datapath owns the buffers behind the last rx_burst again. */
void datapath_release(struct datapath *datapath);

void datapath_stats(const struct datapath *datapath, struct datapath_stats *stats);

void datapath_close(struct datapath *datapath);

#endif
