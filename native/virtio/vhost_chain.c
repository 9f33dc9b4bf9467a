/* SPDX-License-Identifier: BSD-3-Clause */
/* Chains of descriptors, and all buffers of a legacy driver, by way of a copy: see vhost_ring.h.
 * This code is written to be correct, not fast. */
#include <string.h>

#include "vhost_ring.h"

/*
 * Read every part of a chain: in bounds, and in the direction of this ring. Returns the total
 * bytes, 0 if the chain is invalid. Follows at most as many descriptors as the ring has (2.6.5.3.2:
 * loops are forbidden).
 */
static uint64_t chain_read(const struct vhost_ring *ring, struct vhost_memory *memory,
                           uint16_t head, struct vhost_bounce *bounce)
{
    uint16_t wanted = ring->frames ? 0 : VRING_DESC_F_WRITE;
    uint64_t total = 0;

    bounce->nb_segments = 0;
    for (uint32_t i = 0; i < ring->vring.size; i++) {
        struct vring_desc *desc = &ring->vring.desc[head];
        uint64_t addr = atomic_load_explicit(&desc->addr, memory_order_relaxed);
        uint32_t len = atomic_load_explicit(&desc->len, memory_order_relaxed);
        uint16_t flags = atomic_load_explicit(&desc->flags, memory_order_relaxed);
        uint8_t *data = vhost_memory_guest(memory, addr, len);
        if ((flags & (VRING_DESC_F_WRITE | VRING_DESC_F_INDIRECT)) != wanted || data == NULL)
            return 0;
        if (len > 0) {
            if (bounce->nb_segments == VHOST_SEGMENTS_MAX)
                return 0;
            bounce->segments[bounce->nb_segments++] = (struct vhost_segment){data, len};
            total += len;
        }
        if (!(flags & VRING_DESC_F_NEXT))
            return total;
        head = atomic_load_explicit(&desc->next, memory_order_relaxed);
        if (head > ring->mask)
            return 0;
    }
    return 0;
}

/* Return where the virtio-net header begins, so that it ends where the frame begins. */
static uint8_t *header_of(const struct vhost_ring *ring, struct vhost_bounce *bounce)
{
    return bounce->data + VIRTIO_NET_HEADER_BYTES - vhost_header_bytes(ring);
}

static void gather(const struct vhost_bounce *bounce, uint8_t *to)
{
    for (unsigned i = 0; i < bounce->nb_segments; i++) {
        memcpy(to, bounce->segments[i].data, bounce->segments[i].len);
        to += bounce->segments[i].len;
    }
}

/* Copy nb_bytes to the driver's buffers. */
static void scatter(const struct vhost_bounce *bounce, const uint8_t *from, uint32_t nb_bytes)
{
    for (unsigned i = 0; i < bounce->nb_segments && nb_bytes > 0; i++) {
        uint32_t len = bounce->segments[i].len;
        len = len < nb_bytes ? len : nb_bytes;
        memcpy(bounce->segments[i].data, from, len);
        from += len;
        nb_bytes -= len;
    }
}

static struct vhost_bounce *bounce_of(struct vhost_ring *ring, uint16_t number)
{
    return &ring->bounces[number % VHOST_CHAINS_MAX];
}

void vhost_chain_prepare(struct vhost_ring *ring, struct vhost_memory *memory, uint16_t number,
                         struct vhost_frame *entry)
{
    struct vhost_bounce *bounce = bounce_of(ring, number);
    uint64_t total = chain_read(ring, memory, vhost_entry_head(entry), bounce);

    if (!vhost_length_sound(ring, total)) {
        entry->mark |= VHOST_DROPPED << VHOST_HEAD_BITS;
        ring->nb_bad_descriptor++;
        return;
    }
    total -= vhost_header_bytes(ring);
    entry->mark |= VHOST_CHAIN << VHOST_HEAD_BITS;
    entry->data = bounce->data + VIRTIO_NET_HEADER_BYTES;
    entry->len = total < VHOST_FRAME_BYTES_MAX ? (uint32_t)total : VHOST_FRAME_BYTES_MAX;
    if (ring->frames)
        gather(bounce, header_of(ring, bounce));
}

void vhost_chain_send(struct vhost_ring *ring, uint16_t number, uint32_t nb_bytes)
{
    const struct virtio_net_header plain = {.nb_buffers = 1};
    struct vhost_bounce *bounce = bounce_of(ring, number);
    uint8_t *header = header_of(ring, bounce);

    memcpy(header, &plain, vhost_header_bytes(ring));
    scatter(bounce, header, vhost_header_bytes(ring) + nb_bytes);
}
