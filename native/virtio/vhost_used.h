/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Used entries are written only where they change. A driver that uses its buffers in the same order
 * again and again finds most entries unchanged, and then their line stays in both caches.
 *
 * Where a burst has frames of several lengths, no processor predicts which entries change. So
 * vhost_ring_send first lists them, without a branch, and then writes the list.
 */
#ifndef NEARMETAL_VHOST_USED_H
#define NEARMETAL_VHOST_USED_H

#include <string.h>

#include "vhost_ring.h"

/* Entries of one burst that change. */
struct vhost_used {
    uint32_t nb;
    struct {
        uint32_t place, head, len;
    } entries[VHOST_AHEAD_MAX + 1]; /* the one behind the last is written before it is known */
};

static inline bool vhost_used_differs(const struct vring_used_elem *elem, uint32_t head,
                                      uint32_t len)
{
    uint64_t word;

    memcpy(&word, (const void *)elem, sizeof(word));
    return word != ((uint64_t)len << 32 | head);
}

static inline void vhost_used_write(struct vring_used_elem *elem, uint32_t head, uint32_t len)
{
    atomic_store_explicit(&elem->id, head, memory_order_relaxed);
    atomic_store_explicit(&elem->len, len, memory_order_relaxed);
}

/* Write an entry, if it changes. */
static inline void vhost_used_set(struct vring_used_elem *elem, uint32_t head, uint32_t len)
{
    if (vhost_used_differs(elem, head, len))
        vhost_used_write(elem, head, len);
}

/* List an entry, if it changes; at most VHOST_AHEAD_MAX. */
static inline void vhost_used_list(struct vhost_used *list, const struct vring_used_elem *used,
                                   uint32_t place, uint32_t head, uint32_t len)
{
    list->entries[list->nb].place = place;
    list->entries[list->nb].head = head;
    list->entries[list->nb].len = len;
    list->nb += vhost_used_differs(&used[place], head, len);
}

static inline void vhost_used_write_all(const struct vhost_used *list, struct vring_used_elem *used)
{
    for (uint32_t i = 0; i < list->nb; i++)
        vhost_used_write(&used[list->entries[i].place], list->entries[i].head,
                         list->entries[i].len);
}

#endif
