/* SPDX-License-Identifier: BSD-3-Clause */
/* The memory of a driver, on the heap: see memory_bed.h. */
#include <stdlib.h>
#include <string.h>

#include "memory_bed.h"

static size_t whole_lines(size_t bytes)
{
    return (bytes + VRING_ALIGN_BYTES - 1) / VRING_ALIGN_BYTES * VRING_ALIGN_BYTES;
}

static void ring_open(struct bed *bed, unsigned i, const struct vring *ring, uint16_t start,
                      bool in_order, bool event_idx)
{
    vring_publish(&ring->used->idx, start);
    vring_driver_init(&bed->driver[i], ring, bed->order[i], in_order);
    bed->device[i] = calloc(1, sizeof(*bed->device[i]));
    if (bed->device[i] == NULL)
        abort();
    bed->device[i]->frames = i == BED_FRAMES;
    bed->device[i]->in_order = in_order;
    bed->device[i]->event_idx = event_idx;
    bed->device[i]->call_fd = -1;
    vhost_ring_start(bed->device[i], ring);
}

void bed_open(struct bed *bed, uint32_t size, uint16_t start, bool in_order, bool event_idx)
{
    size_t desc = whole_lines(vring_desc_bytes(size));
    size_t avail = whole_lines(vring_avail_bytes(size));
    size_t used = whole_lines(vring_used_bytes(size));

    *bed = (struct bed){.buffers = BED_RINGS * (desc + avail + used)};
    bed->nb_bytes = bed->buffers + (size_t)size * BED_BUFFER_BYTES;
    bed->bytes = aligned_alloc(VRING_ALIGN_BYTES, bed->nb_bytes);
    if (bed->bytes == NULL)
        abort();
    memset(bed->bytes, 0, bed->nb_bytes);
    bed->memory.nb_regions = 1;
    bed->memory.regions[0] =
        (struct vhost_region){.guest = BED_GUEST, .bytes = bed->nb_bytes, .host = bed->bytes};
    for (unsigned i = 0; i < BED_RINGS; i++) {
        uint8_t *at = bed->bytes + i * (desc + avail + used);
        struct vring ring = {.desc = (void *)at,
                             .avail = (void *)(at + desc),
                             .used = (void *)(at + desc + avail),
                             .size = size};
        ring_open(bed, i, &ring, start, in_order, event_idx);
    }
}

void bed_close(struct bed *bed)
{
    for (unsigned i = 0; i < BED_RINGS; i++)
        free(bed->device[i]);
    free(bed->bytes);
}

uint8_t *bed_buffer(const struct bed *bed, uint16_t i)
{
    return bed->bytes + bed->buffers + (size_t)i * BED_BUFFER_BYTES;
}

uint64_t bed_guest(const struct bed *bed, uint16_t i)
{
    return BED_GUEST + bed->buffers + (uint64_t)i * BED_BUFFER_BYTES;
}

void bed_describe(struct bed *bed, unsigned ring, uint16_t i, uint64_t addr, uint32_t len,
                  uint16_t flags, uint16_t next)
{
    vring_driver_describe(&bed->driver[ring], i, addr, len, flags);
    atomic_store_explicit(&bed->driver[ring].ring.desc[i].next, next, memory_order_relaxed);
}

void bed_offer(struct bed *bed, unsigned ring, uint16_t head)
{
    vring_driver_offer(&bed->driver[ring], head);
    vring_driver_publish(&bed->driver[ring]);
}
