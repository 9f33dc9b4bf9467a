/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The layout of a split virtqueue, shared by both of its sides: the device (our generator) and the
 * driver (our null responder, a unikernel). Specification: virtio 1.1, 2.6.
 *
 * Three areas in the driver's memory, each written by one side only:
 *
 *   area        written by   read by   what it says
 *   desc[]      driver       device    where a buffer lies, how long it is, who may write it
 *   avail       driver       device    "these buffers are yours": heads of chains; used_event
 *   used        device       driver    "these are done with": heads, bytes written; avail_event
 *
 * The idx of avail and of used counts without end, modulo 2^16; the place of an entry is its number
 * modulo the ring's size. A ring cannot overflow: no more buffers can be available than there are
 * descriptors.
 *
 * Cache lines. flags, idx and the first entries of avail lie on one line, which the driver writes
 * and the device polls; for used, the device writes and the driver polls. A line that one side
 * writes and the other polls must be transferred for every poll that finds something new, so both
 * sides publish idx once a burst. Under IN_ORDER (2.6.9) a driver whose buffer i is always
 * descriptor i never changes avail.ring or desc[i].addr: those lines stay in both caches, and only
 * the line of idx is transferred. The code that lays out a ring gives each area cache lines of its
 * own (VRING_ALIGN_BYTES).
 *
 * Barriers, each with the reordering that it stops:
 *
 *   publish   store-release of idx: entries, descriptors and the buffers' bytes, written before,
 *             must not become visible after it (2.6.13.2).
 *   see       load-acquire of idx: entries, descriptors and bytes must not be read before it; a
 *             processor that loads ahead would read what was there before (2.6.14).
 *   ask       a full fence between the publishing store of idx and the load of the other side's
 *             event suppression (flags, used_event, avail_event): without it the store may pass the
 *             later load. We would read "do not notify" from before, the other side would read the
 *             old idx and sleep, and both would wait for ever (2.6.7.1). A side that is going to
 *             sleep fences in the same way between enabling events and its last check of idx.
 *
 * All other accesses are relaxed: each field is read once, at one place, so that the value that is
 * used is the one that was checked.
 *
 * Freestanding: nothing but the compiler's own headers. Numbers are little-endian (1.4), as are the
 * processors for which this is built.
 */
#ifndef NEARMETAL_VRING_H
#define NEARMETAL_VRING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rings are little-endian");

#define VRING_SIZE_MAX 32768u  /* 2.6: a power of two */
#define VRING_ALIGN_BYTES 128u /* two lines: processors fetch them in pairs */

/* Feature bits (5.1.3, 6; 30 is vhost-user's own). */
#define VIRTIO_NET_F_MAC 5u
#define VIRTIO_NET_F_MRG_RXBUF 15u
#define VIRTIO_NET_F_STATUS 16u
#define VIRTIO_F_EVENT_IDX 29u
#define VHOST_USER_F_PROTOCOL_FEATURES 30u
#define VIRTIO_F_VERSION_1 32u
#define VIRTIO_F_IN_ORDER 35u

#define VRING_DESC_F_NEXT 1u     /* `next` is the chain's next descriptor */
#define VRING_DESC_F_WRITE 2u    /* the device may write it; otherwise it may read it */
#define VRING_DESC_F_INDIRECT 4u /* never offered here */

#define VRING_AVAIL_F_NO_INTERRUPT 1u /* driver: do not call me */
#define VRING_USED_F_NO_NOTIFY 1u     /* device: do not kick me */

/* 2.6.5 */
struct vring_desc {
    _Atomic uint64_t addr; /* guest-physical */
    _Atomic uint32_t len;
    _Atomic uint16_t flags;
    _Atomic uint16_t next;
};

/* 2.6.6; used_event follows ring[size - 1] */
struct vring_avail {
    _Atomic uint16_t flags;
    _Atomic uint16_t idx;
    _Atomic uint16_t ring[];
};

/* 2.6.8 */
struct vring_used_elem {
    _Atomic uint32_t id;
    _Atomic uint32_t len; /* bytes that the device wrote */
};

/* 2.6.8; avail_event follows ring[size - 1] */
struct vring_used {
    _Atomic uint16_t flags;
    _Atomic uint16_t idx;
    struct vring_used_elem ring[];
};

_Static_assert(sizeof(struct vring_desc) == 16, "2.6.5");
_Static_assert(offsetof(struct vring_desc, len) == 8, "2.6.5");
_Static_assert(offsetof(struct vring_desc, flags) == 12, "2.6.5");
_Static_assert(offsetof(struct vring_desc, next) == 14, "2.6.5");
_Static_assert(offsetof(struct vring_avail, idx) == 2, "2.6.6");
_Static_assert(offsetof(struct vring_avail, ring) == 4, "2.6.6");
_Static_assert(sizeof(struct vring_used_elem) == 8, "2.6.8");
_Static_assert(offsetof(struct vring_used, idx) == 2, "2.6.8");
_Static_assert(offsetof(struct vring_used, ring) == 4, "2.6.8");

/* Precedes every frame (5.1.6). No offloads are offered, so that all fields but nb_buffers are 0,
 * and nb_buffers is 1 towards the driver (5.1.6.4.1), 0 from the driver (5.1.6.2.1). */
struct virtio_net_header {
    uint8_t flags, gso_type;
    uint16_t header_bytes, gso_bytes, checksum_start, checksum_offset;
    uint16_t nb_buffers; /* exists since VERSION_1 */
};

#define VIRTIO_NET_HEADER_BYTES 12u
#define VIRTIO_NET_HEADER_LEGACY_BYTES 10u /* 5.1.6.1: without nb_buffers */
_Static_assert(sizeof(struct virtio_net_header) == VIRTIO_NET_HEADER_BYTES, "5.1.6");
_Static_assert(offsetof(struct virtio_net_header, nb_buffers) == VIRTIO_NET_HEADER_LEGACY_BYTES,
               "5.1.6");

/* A ring, at its addresses in this process. */
struct vring {
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    uint32_t size;
};

/* Entries to return or reap at once: each access to the index may transfer the other side's cache
 * line, and every store behind it waits. For a small ring, a quarter of its size. */
static inline uint32_t vring_many(uint32_t size)
{
    return size / 4 < 256 ? size / 4 : 256;
}

static inline bool vring_size_valid(uint32_t size)
{
    return size > 0 && size <= VRING_SIZE_MAX && (size & (size - 1)) == 0;
}

static inline size_t vring_desc_bytes(uint32_t size)
{
    return size * sizeof(struct vring_desc);
}

static inline size_t vring_avail_bytes(uint32_t size)
{
    return sizeof(struct vring_avail) + (size + 1) * sizeof(uint16_t);
}

static inline size_t vring_used_bytes(uint32_t size)
{
    return sizeof(struct vring_used) + size * sizeof(struct vring_used_elem) + sizeof(uint16_t);
}

/* Written by the driver: call me when used.idx passes this (2.6.7). */
static inline _Atomic uint16_t *vring_used_event(const struct vring *ring)
{
    return &ring->avail->ring[ring->size];
}

/* Written by the device: kick me when avail.idx passes this (2.6.10). */
static inline _Atomic uint16_t *vring_avail_event(const struct vring *ring)
{
    return (_Atomic uint16_t *)(void *)&ring->used->ring[ring->size];
}

/*
 * An event is a place in an index that wraps. To suppress events, set the event index 0x8000 ahead
 * of your own index, and renew it each time bit 14 of your own index flips. The other side checks
 * at most as many buffers at once as the ring has.
 */
#define VRING_EVENT_FAR 0x8000u
#define VRING_EVENT_AGAIN 0x4000u
_Static_assert(VRING_EVENT_AGAIN <= VRING_EVENT_FAR / 2, "renewed before it is near");

/* Whether idx passed `event` when it moved from `old` to `now` (2.6.7.2). */
static inline bool vring_event_passed(uint16_t event, uint16_t now, uint16_t old)
{
    return (uint16_t)(now - event - 1u) < (uint16_t)(now - old);
}

static inline uint16_t vring_see(const _Atomic uint16_t *idx)
{
    return atomic_load_explicit(idx, memory_order_acquire);
}

static inline void vring_publish(_Atomic uint16_t *idx, uint16_t value)
{
    atomic_store_explicit(idx, value, memory_order_release);
}

/* The full fence of "ask" above: between a store and the load of the other side's suppression. */
static inline void vring_fence(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

/*
 * Marks a point between two steps of publishing, asking, sleeping and waking, where stopping one
 * side does the most harm. A test that compiles these files stops it there, and checks that no side
 * sleeps while there is work (tests/c/uk/test_moments.c); elsewhere this is empty.
 */
#ifndef VRING_MOMENT
#define VRING_MOMENT(where) ((void)0)
#endif

/* Fetch a line for writing: one transfer instead of two. No effect on processors without
 * prefetchw. */
static inline void vring_prefetch_write(const void *line)
{
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)line));
}

#endif
