/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A ring of datapath/netdev.c, and which buffer is in which of its descriptors.
 *
 * The contents of each descriptor are also kept here, for two reasons. The device may have written
 * to the table, so the table is not trusted. And a descriptor is written only when its contents
 * change: a store to a line that the device has read costs a transfer of the line.
 *
 * Under IN_ORDER (virtio 1.1, 2.6.9) each place always has the descriptor of the same number.
 * Otherwise descriptors are used in the order in which they were returned, which has the same
 * effect for a device that keeps the order; and a device that returns a descriptor which it does
 * not have must be detected.
 */
#ifndef NEARMETAL_NETDEV_QUEUE_H
#define NEARMETAL_NETDEV_QUEUE_H

#include "netdev_buffers.h"
#include "vring_driver.h"

struct told {
    uint16_t buffer;
    uint16_t len; /* header included */
};

struct queue {
    struct vring_driver driver;
    uint64_t first; /* device address of buffer 0's header */
    struct told told[NETDEV_RING_MAX];
    uint16_t order[NETDEV_RING_MAX]; /* memory for vring_driver */
    /* Without IN_ORDER: */
    uint16_t free[NETDEV_RING_MAX]; /* descriptors in the order in which they were returned */
    bool out[NETDEV_RING_MAX];      /* the device has it */
};

static inline void queue_start(struct queue *queue, const struct vring *ring, uint64_t first,
                               uint64_t features, uint16_t flags)
{
    struct vring_driver *driver = &queue->driver;

    vring_driver_init(driver, ring, queue->order, features >> VIRTIO_F_IN_ORDER & 1);
    driver->event_idx = features >> VIRTIO_F_EVENT_IDX & 1;
    vring_driver_poll(driver);
    queue->first = first;
    for (uint16_t i = 0; i < ring->size; i++) {
        queue->told[i] = (struct told){0};
        queue->order[i] = queue->free[i] = i;
        queue->out[i] = false;
        vring_driver_describe(driver, i, first, 0, flags);
        atomic_store_explicit(&ring->avail->ring[i], i, memory_order_relaxed);
    }
}

/* Return how many buffers can be offered. */
static inline unsigned queue_room(const struct queue *queue)
{
    return queue->driver.ring.size - (uint16_t)(queue->driver.nb_offered - queue->driver.nb_taken);
}

/* Return the descriptor of the `ahead`-th buffer to be offered from now. */
static inline uint16_t queue_next(const struct queue *queue, unsigned ahead)
{
    uint32_t place = (queue->driver.nb_offered + ahead) & queue->driver.mask;

    return queue->driver.in_order ? (uint16_t)place : queue->free[place];
}

static inline bool queue_says(const struct queue *queue, uint16_t desc, uint16_t buffer,
                              uint32_t len)
{
    return queue->told[desc].buffer == buffer && queue->told[desc].len == len;
}

/* Prefetch for writing the descriptor that this buffer will get, unless its contents are right. */
static inline void queue_fetch(const struct queue *queue, unsigned ahead, uint16_t buffer,
                               uint32_t len)
{
    uint16_t desc = queue_next(queue, ahead);

    if (!queue_says(queue, desc, buffer, len))
        vring_prefetch_write(&queue->driver.ring.desc[desc]);
}

/* Offer a buffer; the ring must have room. len: of the frame or the room, header included. */
static inline void queue_offer(struct queue *queue, uint16_t buffer, uint32_t len)
{
    struct vring_driver *driver = &queue->driver;
    uint16_t desc = queue_next(queue, 0);

    if (__builtin_expect(!queue_says(queue, desc, buffer, len), 0)) {
        struct vring_desc *at = &driver->ring.desc[desc];
        uint64_t addr = queue->first + (uint64_t)buffer * NETDEV_STRIDE_BYTES;
        atomic_store_explicit(&at->addr, addr, memory_order_relaxed);
        atomic_store_explicit(&at->len, len, memory_order_relaxed);
        queue->told[desc] = (struct told){buffer, (uint16_t)len};
    }
    if (driver->in_order) {
        driver->nb_offered++; /* since queue_start each place has its own descriptor */
        return;
    }
    queue->out[desc] = true;
    vring_driver_offer(driver, desc);
}

/* Return the buffer that is `ahead` places behind the next to be taken. */
static inline uint16_t queue_peek(const struct queue *queue, unsigned ahead)
{
    const struct vring_driver *driver = &queue->driver;
    uint32_t place = (driver->nb_taken + ahead) & driver->mask;

    return queue->told[driver->in_order ? place : vring_driver_peek(driver, (uint16_t)ahead)]
        .buffer;
}

/* Take the next returned buffer; *len is the device's claim. Returns false if the device returned a
 * descriptor that it did not have: the ring is then broken. */
static inline bool queue_take(struct queue *queue, uint16_t *buffer, uint32_t *len)
{
    struct vring_driver *driver = &queue->driver;
    uint16_t place = driver->nb_taken & driver->mask, desc = place;

    if (driver->in_order) {
        *len = atomic_load_explicit(&driver->ring.used->ring[place].len, memory_order_relaxed);
        driver->nb_taken++;
    } else {
        desc = vring_driver_take(driver, len);
        if (__builtin_expect(!queue->out[desc], 0)) {
            driver->broken = true;
            return false;
        }
        queue->out[desc] = false;
        queue->free[place] = desc;
    }
    *buffer = queue->told[desc].buffer;
    return true;
}

/* Take all buffers back from a ring that is no longer in use; returns how many. */
static inline unsigned queue_reclaim(struct queue *queue, uint16_t *buffers)
{
    struct vring_driver *driver = &queue->driver;
    unsigned nb = 0;

    if (driver->in_order) {
        for (; driver->nb_taken != driver->nb_offered; driver->nb_taken++)
            buffers[nb++] = queue->told[driver->nb_taken & driver->mask].buffer;
        return nb;
    }
    for (uint32_t i = 0; i < driver->ring.size; i++) {
        if (queue->out[i])
            buffers[nb++] = queue->told[i].buffer;
        queue->out[i] = false;
    }
    driver->nb_taken = driver->nb_offered;
    return nb;
}

#endif
