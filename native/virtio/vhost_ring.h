/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One ring of the device side: buffers that the driver made available become entries, checked once,
 * and are returned in the same order (so that IN_ORDER holds, negotiated or not).
 *
 * The states of an entry, by the numbers that separate them. Each number counts modulo 2^16 and is
 * never reset while the ring runs:
 *
 *   done <= given <= prepared <= seen
 *
 *   [done, given)     with the caller (frames; rooms are lent without being counted here)
 *   [given, prepared) checked and prefetched, ahead of the caller; VHOST_AHEAD_MAX at most
 *   [prepared, seen)  made available by the driver
 *
 * Ring 0 carries rooms, ring 1 frames. A buffer that fails a check becomes a DROPPED entry and is
 * returned to the driver in its turn. An impossible index makes the ring broken: no more entries
 * are taken.
 */
#ifndef NEARMETAL_VHOST_RING_H
#define NEARMETAL_VHOST_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "vhost_device.h"
#include "vhost_memory.h"
#include "vring.h"

#define VHOST_RING_SIZE_MAX 4096u /* drivers ask for at most this */
#define VHOST_CHAINS_MAX 256u     /* chains that the caller holds: each needs a bounce buffer */
/* Entries prepared and not given: few enough for the first-level cache. */
#define VHOST_AHEAD_MAX 256u
#define VHOST_SEGMENTS_MAX 64u /* parts of one chain; longer chains are refused */

/* An entry is the frame that the caller gets; its mark is the head of its descriptors, with the
 * kind above these 16 bits. */
enum vhost_entry_kind {
    VHOST_IN_PLACE, /* one descriptor: used where it lies */
    VHOST_CHAIN,    /* several, or a legacy driver's: copied through a bounce buffer */
    VHOST_DROPPED,  /* failed a check */
};

#define VHOST_HEAD_BITS 16u

static inline uint16_t vhost_entry_head(const struct vhost_frame *entry)
{
    return (uint16_t)entry->mark;
}

static inline enum vhost_entry_kind vhost_entry_kind(const struct vhost_frame *entry)
{
    return (enum vhost_entry_kind)(entry->mark >> VHOST_HEAD_BITS);
}

struct vhost_segment {
    uint8_t *data;
    uint32_t len;
};

struct vhost_bounce {
    struct vhost_segment segments[VHOST_SEGMENTS_MAX];
    unsigned nb_segments;
    uint8_t data[VIRTIO_NET_HEADER_BYTES + VHOST_FRAME_BYTES_MAX]; /* a shorter header ends there */
};

struct vhost_ring {
    struct vring vring;
    uint32_t mask;
    uint16_t done, given, prepared, seen;
    uint16_t
        fetched; /* descriptors of [prepared, fetched) are being fetched, by vhost_ring_ahead */
    uint16_t dropped; /* number of the last DROPPED entry; without one, far from those prepared */
    bool frames;      /* the driver's frames (ring 1), not rooms */
    bool in_order;    /* one used entry may return a whole burst */
    bool event_idx;
    bool legacy; /* no VERSION_1: the header is shorter, and every frame is copied */
    bool broken;
    bool rests;  /* the last lend or receive returned nothing */
    int call_fd; /* -1: the driver never wants a call */
    uint64_t nb_frames, nb_bad_descriptor, nb_bad_index, nb_calls;
    struct vhost_frame entries[VHOST_AHEAD_MAX]; /* from given on, as the caller gets them */
    uint16_t heads[VHOST_RING_SIZE_MAX];         /* of frames: from done on */
    struct vhost_bounce bounces[VHOST_CHAINS_MAX];
};

static inline uint32_t vhost_header_bytes(const struct vhost_ring *ring)
{
    return ring->legacy ? VIRTIO_NET_HEADER_LEGACY_BYTES : VIRTIO_NET_HEADER_BYTES;
}

/* Limits of header and frame together. A driver gives rooms of at least 1,526 bytes (5.1.6.3.1),
 * and sends at least an Ethernet header, at most a full frame. */
#define VHOST_FRAME_LEAST (VIRTIO_NET_HEADER_BYTES + VHOST_FRAME_BYTES_MIN)
#define VHOST_FRAME_MOST (VIRTIO_NET_HEADER_BYTES + VHOST_FRAME_BYTES_MAX)
#define VHOST_ROOM_LEAST (VIRTIO_NET_HEADER_BYTES + VHOST_ROOM_BYTES_MIN)
#define VHOST_ROOM_MOST 4096u /* longer rooms take the slow path, and are accepted there */

static inline bool vhost_length_sound(const struct vhost_ring *ring, uint64_t bytes)
{
    bytes += VIRTIO_NET_HEADER_BYTES - vhost_header_bytes(ring);
    return bytes >= (ring->frames ? VHOST_FRAME_LEAST : VHOST_ROOM_LEAST) &&
           (!ring->frames || bytes <= VHOST_FRAME_MOST);
}

/* Prepare an entry that is not one valid descriptor: a chain, or dropped. */
void vhost_chain_prepare(struct vhost_ring *ring, struct vhost_memory *memory, uint16_t number,
                         struct vhost_frame *entry);

/* Copy a plain header and nb_bytes of the frame from an entry's bounce buffer to the driver's
 * buffers. */
void vhost_chain_send(struct vhost_ring *ring, uint16_t number, uint32_t nb_bytes);

/* Start a ring, at the used.idx that the driver's memory holds. */
void vhost_ring_start(struct vhost_ring *ring, const struct vring *vring);

unsigned vhost_ring_lend(struct vhost_ring *ring, struct vhost_memory *memory,
                         struct vhost_frame *rooms, unsigned nb);
void vhost_ring_send(struct vhost_ring *ring, const struct vhost_frame *frames, unsigned nb);
unsigned vhost_ring_receive(struct vhost_ring *ring, struct vhost_memory *memory,
                            struct vhost_frame *frames, unsigned nb);
/* vhost_ahead (vhost_device.h), of a ring of frames. */
void vhost_ring_ahead(struct vhost_ring *ring, struct vhost_memory *memory, unsigned nb);
void vhost_ring_return(struct vhost_ring *ring);

/* Call the driver, if it gave a descriptor for calls. */
void vhost_ring_call(struct vhost_ring *ring);

/* Enable or suppress kicks. When enabling, returns whether there is more for the caller already. */
bool vhost_ring_want_kicks(struct vhost_ring *ring, bool wanted);

#endif
