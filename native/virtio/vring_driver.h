/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One ring of the driver side (virtio 1.1, 2.6), for speed: one descriptor per buffer, and buffer i
 * is always descriptor i, so that descriptors and available entries change only where they must.
 * Freestanding, like vring.h.
 *
 * Call order: init, then any number of { offer, publish } and { used, take }. Nothing blocks,
 * nothing fails; a device whose index jumps breaks the ring (broken), and nothing moves any more.
 *
 * The device is not trusted either: what may be written to the ring by it is checked
 * (vring_driver_used, vring_driver_take), what is ours to know is kept apart (order).
 */
#ifndef NEARMETAL_VRING_DRIVER_H
#define NEARMETAL_VRING_DRIVER_H

#include "vring.h"

struct vring_driver {
    struct vring ring;
    uint32_t mask;
    uint16_t nb_offered;   /* counts for ever: buffers offered */
    uint16_t nb_published; /* of them, those that the device knows of */
    uint16_t nb_asked;     /* of those, those about which it was asked whether it wants a kick */
    uint16_t nb_seen;      /* buffers that came back, as far as it was looked */
    uint16_t nb_taken;     /* of them, those that were taken */
    bool in_order;         /* agreed upon (2.6.9) */
    bool event_idx;        /* agreed upon (2.6.7); set by the caller after init */
    bool broken;
    uint16_t *order; /* buffer of each place of the ring; `size` of them, the caller's memory */
};

/* The ring's memory is all zero; but for used.idx, where counting begins elsewhere. */
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
        order[i] = 0; /* as the available entries are */
    /* We poll. */
    atomic_store_explicit(&ring->avail->flags, VRING_AVAIL_F_NO_INTERRUPT, memory_order_relaxed);
    atomic_store_explicit(vring_used_event(ring), (uint16_t)(start + VRING_EVENT_FAR),
                          memory_order_relaxed);
    vring_publish(&ring->avail->idx, start);
}

/* Buffer i lies there. Once, before it is first offered. */
static inline void vring_driver_describe(struct vring_driver *driver, uint16_t i, uint64_t addr,
                                         uint32_t len, uint16_t flags)
{
    struct vring_desc *desc = &driver->ring.desc[i];

    atomic_store_explicit(&desc->addr, addr, memory_order_relaxed);
    atomic_store_explicit(&desc->len, len, memory_order_relaxed);
    atomic_store_explicit(&desc->flags, flags, memory_order_relaxed);
}

/* The next buffer for the device, from the next publish on. At most as many as the ring has places
 * are offered and not yet taken. */
static inline void vring_driver_offer(struct vring_driver *driver, uint16_t i)
{
    uint32_t place = driver->nb_offered++ & driver->mask;

    if (driver->order[place] != i) { /* under IN_ORDER it hardly ever is */
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

/* How many buffers have come back and were not taken yet: looks only where it knows of fewer than
 * `wanted`, because a look may be a journey of the line on which the device counts. */
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

/* All that have come back by now. */
static inline uint16_t vring_driver_used(struct vring_driver *driver)
{
    return vring_driver_ready(driver, UINT32_MAX);
}

/* What comes back is soon to be looked at: fetch the line on which the device counts it. */
static inline void vring_driver_fetch_used(const struct vring_driver *driver)
{
    __builtin_prefetch(&driver->ring.used->idx);
}

/* Something is soon to be published: fetch the line for it, which the device has looked at. A store
 * to a line that is not ours holds up all stores behind it. */
static inline void vring_driver_fetch_avail(const struct vring_driver *driver)
{
    vring_prefetch_write(&driver->ring.avail->idx);
}

/* Which buffer is `ahead` places behind the next to be taken; below the ring's size. */
static inline uint16_t vring_driver_peek(const struct vring_driver *driver, uint16_t ahead)
{
    uint32_t place = (uint32_t)(driver->nb_taken + ahead) & driver->mask;

    if (driver->in_order)
        return driver->order[place];
    return atomic_load_explicit(&driver->ring.used->ring[place].id, memory_order_relaxed) &
           driver->mask;
}

/* The next buffer that came back, and how many bytes the device wrote, by its own word. Of buffers
 * that only the device reads, `len` says nothing under IN_ORDER. */
static inline uint16_t vring_driver_take(struct vring_driver *driver, uint32_t *len)
{
    uint16_t i = vring_driver_peek(driver, 0);

    *len = atomic_load_explicit(&driver->ring.used->ring[driver->nb_taken & driver->mask].len,
                                memory_order_relaxed);
    driver->nb_taken++;
    return i;
}

/* Does the device sleep, and want a kick for what was published since it was last asked? (A fence:
 * not for every burst.) */
static inline bool vring_driver_kick_wanted(struct vring_driver *driver)
{
    const struct vring_used *used = driver->ring.used;
    uint16_t old = driver->nb_asked;
    bool wanted;

    if (old == driver->nb_published)
        return false; /* it was told of everything, or was awake */
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

/* We poll, and never wish to be called: to be said again whenever VRING_EVENT_AGAIN of nb_taken
 * changes. */
static inline void vring_driver_poll(const struct vring_driver *driver)
{
    if (driver->event_idx)
        atomic_store_explicit(vring_used_event(&driver->ring),
                              (uint16_t)(driver->nb_taken + VRING_EVENT_FAR), memory_order_relaxed);
    else
        atomic_store_explicit(&driver->ring.avail->flags, VRING_AVAIL_F_NO_INTERRUPT,
                              memory_order_relaxed);
}

/* We are about to sleep, and wish to be called for the next buffer that comes back. True: there is
 * one already, so that nobody will call. vring_driver_poll takes the wish back. */
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
