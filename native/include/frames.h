/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract of a frame datapath: one way to receive and send bursts of Ethernet frames.
 *
 * Implemented by datapath/<name>.c of the frame level (dpdk), chosen at link time. frames/ is the
 * only caller: frames/udp.c makes a datagram datapath (datapath.h) of it, so serve.c and the
 * services handle no frames.
 *
 * Call order: open, then any number of { rx_burst, alloc, tx_burst, free }, then close.
 *
 * Errors: open returns NULL, or one sentence for the user. After open nothing fails: what could not
 * be received or sent is a count.
 *
 * Ownership: the caller owns a frame from rx_burst or alloc until tx_burst takes it or free returns
 * it. Its headers and its payload may be overwritten: the received buffer is the reply's buffer.
 *
 * Blocking: only frames_wait blocks.
 */
#ifndef NEARMETAL_FRAMES_H
#define NEARMETAL_FRAMES_H

#include <stdint.h>

#include "datapath.h"

/* Most bytes of a frame, Ethernet header included: 1,500 bytes of IP. */
#define FRAME_BYTES_MAX 1514u

/* Checksums that the wire has verified, so that frames/ need not. */
#define FRAME_IP_GOOD 1u  /* the IPv4 header's checksum */
#define FRAME_UDP_GOOD 2u /* the UDP checksum */

struct frame {
    uint8_t *data;    /* from the Ethernet header on; room for FRAME_BYTES_MAX */
    uint32_t len;     /* bytes */
    uint32_t vouched; /* FRAME_*_GOOD */
    void *buffer;     /* private to the datapath */
};

/* Bytes of the Ethernet, IPv4 and UDP headers: what frames/ reads and writes in every frame. A
 * datapath may fetch them for it. */
#define FRAME_HEADERS_BYTES 42u

struct frames;

const char *frames_open(struct frames **frames, const struct datapath_config *config);

void frames_mac(const struct frames *frames, uint8_t mac[6]);

/* Return the cycles of the time stamp counter in a second. */
uint64_t frames_tsc_hz(const struct frames *frames);

/* Fill out[0..returned) with received frames; never waits. */
unsigned frames_rx_burst(struct frames *frames, struct frame *out, unsigned nb);

/*
 * Peek at frames that have arrived and will be part of the next bursts. Sets data, and len as the
 * wire reports it, unchecked. The bytes may be fetched, not read. Reports each frame once, in their
 * order. Returns 0 where the datapath cannot see frames before it receives them.
 */
unsigned frames_ahead(struct frames *frames, struct frame *out, unsigned nb);

/* Get empty frames, to be filled and sent, or freed. May return fewer than nb. */
unsigned frames_alloc(struct frames *frames, struct frame *out, unsigned nb);

/* Send frames as they are; len may have changed since rx_burst or alloc, data not. Returns how
 * many, from the first on, were taken; the caller still owns the others. */
unsigned frames_tx_burst(struct frames *frames, const struct frame *list, unsigned nb);

void frames_free(struct frames *frames, const struct frame *list, unsigned nb);

/* Sleep until a frame may have arrived, at most `ns`; where a frame cannot end the sleep, only as
 * long as a frame may be kept waiting. Returns whether a frame can end the sleep. */
bool frames_wait(struct frames *frames, uint64_t ns);

/* Set nb_syscalls, nb_rx_errors and nb_tx_errors; frames/ counts the rest. */
void frames_stats(const struct frames *frames, struct datapath_stats *stats);

void frames_close(struct frames *frames);

#endif
