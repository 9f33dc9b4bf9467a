/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One ring of the device side: buffers that the driver made available become entries, checked once,
 * and go back to it in the same order (so IN_ORDER holds whether asked for or not).
 *
 * An entry's life, by the numbers that separate them, each counting for ever modulo 2^16:
 *
 *   done <= given <= prepared <= seen
 *
 *   [done, given)     with the caller (frames; rooms are lent without being counted here)
 *   [given, prepared) checked and prefetched, ahead of the caller; VHOST_AHEAD_MAX at most
 *   [prepared, seen)  said by the driver to be available
 *
 * Ring 0 carries rooms, ring 1 frames. What fails a check becomes a DROPPED entry and goes back to
 * the driver in its turn; an index that cannot be makes the ring broken: nothing more is
 * taken from it.
 */
#ifndef NEARMETAL_VHOST_RING_H
#define NEARMETAL_VHOST_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "vhost_device.h"
#include "vhost_memory.h"
#include "vring.h"

#define VHOST_RING_SIZE_MAX 4096u /* no driver asks for more */
#define VHOST_CHAINS_MAX 256u     /* chains in the caller's hands: each needs a bounce buffer */
/* Entries prepared and not given: so few that they stay in the nearest cache. */
#define VHOST_AHEAD_MAX 256u
#define VHOST_SEGMENTS_MAX 64u /* parts of one chain; more are refused */

/* An entry is the frame that the caller gets; its mark is the head of its descriptors, and above
 * these 16 bits, what it is. */
enum vhost_entry_kind {
    VHOST_IN_PLACE, /* one descriptor: used where it lies */
    VHOST_CHAIN,    /* several, or a legacy driver's: by way of a bounce buffer */
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
    uint16_t dropped; /* the last DROPPED entry; far from those prepared where there is none */
    bool frames;      /* the driver's frames (ring 1), not rooms */
    bool in_order;    /* one used entry may speak for a burst */
    bool event_idx;
    bool legacy; /* the driver knows no VERSION_1: its header is shorter, and all goes by a copy */
    bool broken;
    bool rests;  /* the caller's last request was given nothing */
    int call_fd; /* -1: the driver never wants to be told */
    uint64_t nb_frames, nb_bad_descriptor, nb_bad_index, nb_calls;
    struct vhost_frame entries[VHOST_AHEAD_MAX]; /* from given on: as the caller gets them */
    uint16_t heads[VHOST_RING_SIZE_MAX];         /* of frames: from done on */
    struct vhost_bounce bounces[VHOST_CHAINS_MAX];
};

static inline uint32_t vhost_header_bytes(const struct vhost_ring *ring)
{
    return ring->legacy ? VIRTIO_NET_HEADER_LEGACY_BYTES : VIRTIO_NET_HEADER_BYTES;
}

/* Header and frame together: is that a length that can be? A driver gives rooms of at least 1,526
 * bytes (5.1.6.3.1), and sends at least an Ethernet header, at most a full frame. */
#define VHOST_FRAME_LEAST (VIRTIO_NET_HEADER_BYTES + VHOST_FRAME_BYTES_MIN)
#define VHOST_FRAME_MOST (VIRTIO_NET_HEADER_BYTES + VHOST_FRAME_BYTES_MAX)
#define VHOST_ROOM_LEAST (VIRTIO_NET_HEADER_BYTES + VHOST_ROOM_BYTES_MIN)
#define VHOST_ROOM_MOST 4096u /* is only looked at twice above that */

static inline bool vhost_length_sound(const struct vhost_ring *ring, uint64_t bytes)
{
    bytes += VIRTIO_NET_HEADER_BYTES - vhost_header_bytes(ring);
    return bytes >= (ring->frames ? VHOST_FRAME_LEAST : VHOST_ROOM_LEAST) &&
           (!ring->frames || bytes <= VHOST_FRAME_MOST);
}

/* An entry of all that is not one sound descriptor: a chain, or dropped. */
void vhost_chain_prepare(struct vhost_ring *ring, struct vhost_memory *memory, uint16_t number,
                         struct vhost_frame *entry);

/* A plain header, and so many bytes of the frame in an entry's bounce buffer, to where the driver
 * wants them. */
void vhost_chain_send(struct vhost_ring *ring, uint16_t number, uint32_t nb_bytes);

/* Begin where the driver's memory says that used buffers end. */
void vhost_ring_start(struct vhost_ring *ring, const struct vring *vring);

unsigned vhost_ring_lend(struct vhost_ring *ring, struct vhost_memory *memory,
                         struct vhost_frame *rooms, unsigned nb);
void vhost_ring_send(struct vhost_ring *ring, const struct vhost_frame *frames, unsigned nb);
unsigned vhost_ring_receive(struct vhost_ring *ring, struct vhost_memory *memory,
                            struct vhost_frame *frames, unsigned nb);
void vhost_ring_return(struct vhost_ring *ring);

/* Wake the driver, if it ever sleeps. */
void vhost_ring_call(struct vhost_ring *ring);

/* Kicks are wanted, or not. Returns, where they are, whether there is more for the caller now. */
bool vhost_ring_want_kicks(struct vhost_ring *ring, bool wanted);

#endif
