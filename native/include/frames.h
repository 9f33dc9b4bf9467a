/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The contract of a frame datapath: one way to receive and send bursts of Ethernet frames.
 *
 * Implemented by datapath/<name>.c of the frame level (dpdk), chosen at link time. frames/ is the
 * only caller: frames/udp.c makes a datagram datapath (datapath.h) of it, so serve.c and the
 * services know nothing of frames.
 *
 * Call order: open, then any number of { rx_burst, alloc, tx_burst, free }, then close.
 *
 * Errors: open returns NULL, or one sentence for the user. After that nothing fails: what could not
 * be received or sent is a count.
 *
 * Ownership: a frame is the caller's from rx_burst or alloc until tx_burst took it or free gave it
 * back. Its headers and its payload may be overwritten: the received buffer is the reply's buffer.
 *
 * Blocking: only frames_wait blocks.
 */
#ifndef NEARMETAL_FRAMES_H
#define NEARMETAL_FRAMES_H

#include <stdint.h>

#include "datapath.h"

/* Most bytes of a frame, Ethernet header included: 1,500 bytes of IP. */
#define FRAME_BYTES_MAX 1514u

/* What the wire has verified, so that frames/ need not. */
#define FRAME_IP_GOOD 1u  /* the IPv4 header's checksum */
#define FRAME_UDP_GOOD 2u /* the UDP checksum */

struct frame {
    uint8_t *data;    /* from the Ethernet header on; FRAME_BYTES_MAX of room */
    uint32_t len;     /* bytes */
    uint32_t vouched; /* FRAME_*_GOOD */
    void *buffer;     /* the datapath's own */
};

/* Bytes of Ethernet, IPv4 and UDP headers: what frames/ reads and writes of every frame, and a
 * datapath may fetch for it. */
#define FRAME_HEADERS_BYTES 42u

struct frames;

const char *frames_open(struct frames **frames, const struct datapath_config *config);

void frames_mac(const struct frames *frames, uint8_t mac[6]);

/* Cycles of the time stamp counter in a second. */
uint64_t frames_tsc_hz(const struct frames *frames);

/* Fill out[0..returned); never waits. */
unsigned frames_rx_burst(struct frames *frames, struct frame *out, unsigned nb);

/*
 * Of frames that have come and will be of the next bursts, those that were not told before, in
 * their order: data, and len as the wire has it, which need not be one that can be. They may be
 * fetched, not read. 0 where frames are not known before they are received.
 */
unsigned frames_ahead(struct frames *frames, struct frame *out, unsigned nb);

/* Blank frames, to be filled and sent or given back; may be fewer than asked for. */
unsigned frames_alloc(struct frames *frames, struct frame *out, unsigned nb);

/* Send as they are; len may have changed, data not. Returns how many, from the first on, were
 * taken; the others remain the caller's. */
unsigned frames_tx_burst(struct frames *frames, const struct frame *list, unsigned nb);

void frames_free(struct frames *frames, const struct frame *list, unsigned nb);

/* Sleep until a frame may have come, at most `ns`; where a frame cannot wake us, only so long that
 * a frame may be kept waiting. Returns whether a frame can wake us. */
bool frames_wait(struct frames *frames, uint64_t ns);

/* nb_syscalls, nb_rx_errors and nb_tx_errors; the rest is frames/'s to count. */
void frames_stats(const struct frames *frames, struct datapath_stats *stats);

void frames_close(struct frames *frames);

#endif
