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

/*
 * Fetch the lines on which the first nb bytes of a frame lie that just came, and that its reply
 * will overwrite. To be written, not only read: the other side of the wire had them last, and a
 * line fetched to be read would have to be asked for again. No more lines than are needed: each one
 * makes two journeys. prefetchw does nothing where a processor has it not.
 */
static inline void frame_prefetch(const uint8_t *data, uint32_t nb)
{
    const uint8_t *line = (const uint8_t *)((uintptr_t)data & ~(uintptr_t)63);

    for (; line < data + nb; line += 64)
        __asm__ volatile("prefetchw %0" : : "m"(*line));
}

/* Bytes of Ethernet, IPv4 and UDP headers: what frames/ reads and writes of every frame. */
#define FRAME_HEADERS_BYTES 42u

struct frames;

const char *frames_open(struct frames **frames, const struct datapath_config *config);

void frames_mac(const struct frames *frames, uint8_t mac[6]);

/* Cycles of the time stamp counter in a second. */
uint64_t frames_tsc_hz(const struct frames *frames);

/* Fill out[0..returned); never waits. */
unsigned frames_rx_burst(struct frames *frames, struct frame *out, unsigned nb);

/* Blank frames, to be filled and sent or given back; may be fewer than asked for. */
unsigned frames_alloc(struct frames *frames, struct frame *out, unsigned nb);

/* Send as they are; len may have changed, data not. Returns how many, from the first on, were
 * taken; the others remain the caller's. */
unsigned frames_tx_burst(struct frames *frames, const struct frame *list, unsigned nb);

void frames_free(struct frames *frames, const struct frame *list, unsigned nb);

/* Sleep until a frame may have come, at most `ns`; where nobody would wake us, only so long that a
 * frame may be kept waiting. */
void frames_wait(struct frames *frames, uint64_t ns);

/* nb_syscalls, nb_rx_errors and nb_tx_errors; the rest is frames/'s to count. */
void frames_stats(const struct frames *frames, struct datapath_stats *stats);

void frames_close(struct frames *frames);

#endif
