/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The places of the two rings of a queue pair in a driver's memory, for each process that maps it:
 * the front end, and the driver where that is another process. Rings first, each area on cache
 * lines of its own; behind them, at the start of a page, the frames' buffers.
 *
 * Freestanding, like vring.h.
 */
#ifndef NEARMETAL_VHOST_LAYOUT_H
#define NEARMETAL_VHOST_LAYOUT_H

#include "vring.h"

enum { VHOST_FRONT_RX = 0, VHOST_FRONT_TX = 1, VHOST_FRONT_RINGS = 2 };

#define VHOST_LAYOUT_PAGE_BYTES 4096u

static inline size_t vhost_layout_align(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

/* Set rings[] to their places from base on; not with base NULL. Returns the offset of the
 * buffers. */
static inline size_t vhost_layout(uint8_t *base, uint32_t size,
                                  struct vring rings[VHOST_FRONT_RINGS])
{
    size_t desc = vhost_layout_align(vring_desc_bytes(size), VRING_ALIGN_BYTES);
    size_t avail = vhost_layout_align(vring_avail_bytes(size), VRING_ALIGN_BYTES);
    size_t used = vhost_layout_align(vring_used_bytes(size), VRING_ALIGN_BYTES);
    size_t at = 0;

    for (unsigned i = 0; i < VHOST_FRONT_RINGS; i++) {
        if (base != NULL)
            rings[i] = (struct vring){.desc = (void *)(base + at),
                                      .avail = (void *)(base + at + desc),
                                      .used = (void *)(base + at + desc + avail),
                                      .size = size};
        at += desc + avail + used;
    }
    return vhost_layout_align(at, VHOST_LAYOUT_PAGE_BYTES);
}

#endif
