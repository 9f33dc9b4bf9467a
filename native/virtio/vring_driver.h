/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One ring of the driver side (virtio 1.1, 2.6), for speed: one descriptor per buffer, and buffer i
 * is always descriptor i, so that descriptors and available entries change only where they must.
 * Freestanding, like vring.h.
 *
 * Call order: init, then any number of { offer, publish } and { used, take }. Nothing blocks and
 * nothing fails; a device whose index jumps breaks the ring (broken), and then nothing moves any
 * more.
 *
 * The device is not trusted: values that it may write to the ring are checked (vring_driver_used,
 * vring_driver_take), and values that the driver relies on are kept outside the ring (order).
 */
#ifndef NEARMETAL_VRING_DRIVER_H
#define NEARMETAL_VRING_DRIVER_H

#include "vring.h"

struct vring_driver {
    struct vring ring;
    uint32_t mask;
    uint16_t nb_offered;   /* buffers offered, counted modulo 2^16 */
    uint16_t nb_published; /* of them: published to the device */
    uint16_t nb_asked;     /* of those: included in a check for a kick */
    uint16_t nb_seen;      /* buffers returned by the device, as last seen */
    uint16_t nb_taken;     /* of them: taken */
    bool in_order;         /* negotiated (2.6.9) */
    bool event_idx;        /* negotiated (2.6.7); set by the caller after init */
    bool broken;
    uint16_t *order; /* buffer of each place of the ring; `size` of them, in the caller's memory */
};

/* The ring's memory is all zero, except used.idx where counting begins elsewhere. */
static inline void vring_driver_init(struct vring_driver *driver, const struct vring *ring,
                                     uint16_t *order, bool in_order)
{
    uint16_t start = vring_see(&ring->used->idx);

    *driver = (struct vring_driver){.ring = *ring,
                                    .mask = ring->size - 1,
                                    .nb_offered = start,
                                    .nb_published = start,
                                    .nb_asked = start,
                                    .nb_seen = start,
                                    .nb_taken = start,
                                    .in_order = in_order,
                                    .order = order};
    for (uint32_t i = 0; i < ring->size; i++)
        order[i] = 0; /* like the available entries */
    /* Suppress calls: the ring is polled. */
    atomic_store_explicit(&ring->avail->flags, VRING_AVAIL_F_NO_INTERRUPT, memory_order_relaxed);
    atomic_store_explicit(vring_used_event(ring), (uint16_t)(start + VRING_EVENT_FAR),
                          memory_order_relaxed);
    vring_publish(&ring->avail->idx, start);
}

/* Describe buffer i; once, before it is first offered. */
static inline void vring_driver_describe(struct vring_driver *driver, uint16_t i, uint64_t addr,
                                         uint32_t len, uint16_t flags)
{
    struct vring_desc *desc = &driver->ring.desc[i];

    atomic_store_explicit(&desc->addr, addr, memory_order_relaxed);
    atomic_store_explicit(&desc->len, len, memory_order_relaxed);
    atomic_store_explicit(&desc->flags, flags, memory_order_relaxed);
}

/* Offer the next buffer to the device, from the next publish on. At most as many buffers as the
 * ring has places may be offered and not yet taken. */
static inline void vring_driver_offer(struct vring_driver *driver, uint16_t i)
{
    uint32_t place = driver->nb_offered++ & driver->mask;

    if (driver->order[place] != i) { /* rarely under IN_ORDER */
        driver->order[place] = i;
        atomic_store_explicit(&driver->ring.avail->ring[place], i, memory_order_relaxed);
    }
}

static inline void vring_driver_publish(struct vring_driver *driver)
{
    if (driver->nb_published == driver->nb_offered)
        return;
    driver->nb_published = driver->nb_offered;
    VRING_MOMENT("driver: about to publish");
    vring_publish(&driver->ring.avail->idx, driver->nb_published);
    VRING_MOMENT("driver: published");
}

/* Return how many buffers the device has returned that are not taken. Reads the device's index only
 * if fewer than `wanted` are known, because the read may transfer its cache line. */
static inline uint16_t vring_driver_ready(struct vring_driver *driver, unsigned wanted)
{
    uint16_t nb = (uint16_t)(driver->nb_seen - driver->nb_taken);

    if (nb >= wanted)
        return nb;
    driver->nb_seen = vring_see(&driver->ring.used->idx);
    nb = (uint16_t)(driver->nb_seen - driver->nb_taken);
    if (__builtin_expect(nb > (uint16_t)(driver->nb_published - driver->nb_taken), 0)) {
        driver->broken = true;
        driver->nb_seen = driver->nb_taken;
        return 0;
    }
    return nb;
}

/* Return how many buffers the device has returned by now that are not taken. */
static inline uint16_t vring_driver_used(struct vring_driver *driver)
{
    return vring_driver_ready(driver, UINT32_MAX);
}

/* Prefetch the line of the device's index, before it is read. */
static inline void vring_driver_fetch_used(const struct vring_driver *driver)
{
    __builtin_prefetch(&driver->ring.used->idx);
}

/* Prefetch the line of our index for writing, before a publish: the device has read it. A store to
 * a line that this core does not own delays all stores behind it. */
static inline void vring_driver_fetch_avail(const struct vring_driver *driver)
{
    vring_prefetch_write(&driver->ring.avail->idx);
}

/* Return the buffer that is `ahead` places behind the next to be taken; ahead < the ring's size. */
static inline uint16_t vring_driver_peek(const struct vring_driver *driver, uint16_t ahead)
{
    uint32_t place = (uint32_t)(driver->nb_taken + ahead) & driver->mask;

    if (driver->in_order)
        return driver->order[place];
    return atomic_load_explicit(&driver->ring.used->ring[place].id, memory_order_relaxed) &
           driver->mask;
}

/* Take the next buffer that was returned. *len: bytes that the device claims to have written;
 * undefined under IN_ORDER for buffers that the device only reads. */
static inline uint16_t vring_driver_take(struct vring_driver *driver, uint32_t *len)
{
    uint16_t i = vring_driver_peek(driver, 0);

    *len = atomic_load_explicit(&driver->ring.used->ring[driver->nb_taken & driver->mask].len,
                                memory_order_relaxed);
    driver->nb_taken++;
    return i;
}

/* Whether the device wants a kick for what was published since the last check. This costs a full
 * fence: not for every burst. */
static inline bool vring_driver_kick_wanted(struct vring_driver *driver)
{
    const struct vring_used *used = driver->ring.used;
    uint16_t old = driver->nb_asked;
    bool wanted;

    if (old == driver->nb_published)
        return false; /* nothing new since the last check */
    driver->nb_asked = driver->nb_published;
    vring_fence();
    if (driver->event_idx)
        wanted = vring_event_passed(
            atomic_load_explicit(vring_avail_event(&driver->ring), memory_order_relaxed),
            driver->nb_published, old);
    else
        wanted =
            !(atomic_load_explicit(&used->flags, memory_order_relaxed) & VRING_USED_F_NO_NOTIFY);
    VRING_MOMENT("driver: knows whether to kick");
    return wanted;
}

/* Suppress calls, because the ring is polled. With EVENT_IDX, renew it each time bit
 * VRING_EVENT_AGAIN of nb_taken changes. */
static inline void vring_driver_poll(const struct vring_driver *driver)
{
    if (driver->event_idx)
        atomic_store_explicit(vring_used_event(&driver->ring),
                              (uint16_t)(driver->nb_taken + VRING_EVENT_FAR), memory_order_relaxed);
    else
        atomic_store_explicit(&driver->ring.avail->flags, VRING_AVAIL_F_NO_INTERRUPT,
                              memory_order_relaxed);
}

/* Before a sleep: ask for a call for the next buffer that is returned. Returns true if one is there
 * already, so that no call will come. vring_driver_poll suppresses calls again. */
static inline bool vring_driver_want_call(struct vring_driver *driver)
{
    bool is_there;

    VRING_MOMENT("driver: about to ask for a call");
    if (driver->event_idx)
        atomic_store_explicit(vring_used_event(&driver->ring), driver->nb_taken,
                              memory_order_relaxed);
    else
        atomic_store_explicit(&driver->ring.avail->flags, 0, memory_order_relaxed);
    vring_fence();
    VRING_MOMENT("driver: asked for a call");
    is_there = vring_driver_used(driver) > 0 || driver->broken;
    VRING_MOMENT("driver: looked once more");
    return is_there;
}

#endif
