/* SPDX-License-Identifier: BSD-3-Clause */
/* A device that uses buffers out of order: see loose_device.h. */
#include "loose_device.h"

static const struct vring *ring_of(const struct loose *loose)
{
    return &bed.rings[loose->ring];
}

void loose_start(struct loose *loose, unsigned ring)
{
    uint16_t used = vring_see(&bed.rings[ring].used->idx);

    *loose = (struct loose){.ring = ring, .seen = used, .used = used, .random = 1 + ring};
}

/* Return the buffer of a head, which must be one whole descriptor of the driver. */
static struct vhost_frame buffer_of(const struct loose *loose, uint16_t head)
{
    struct vring_desc *desc = &ring_of(loose)->desc[head];
    uint32_t len = atomic_load(&desc->len);
    uint8_t *data = vhost_memory_guest(&bed.memory, atomic_load(&desc->addr), len);

    CHECK(data != NULL && len >= VIRTIO_NET_HEADER_BYTES);
    CHECK(atomic_load(&desc->flags) == (loose->ring == TRANSPORT_RX ? VRING_DESC_F_WRITE : 0));
    return (struct vhost_frame){.data = data + VIRTIO_NET_HEADER_BYTES,
                                .len = len - VIRTIO_NET_HEADER_BYTES};
}

/* Take one more head that the driver made available; false: there is none. */
static bool take(struct loose *loose)
{
    const struct vring *ring = ring_of(loose);

    if (loose->seen == vring_see(&ring->avail->idx))
        return false;
    CHECK(loose->nb_have < ring->size);
    uint16_t head = atomic_load(&ring->avail->ring[loose->seen++ & (ring->size - 1)]);
    CHECK(head < ring->size);
    for (unsigned i = 0; i < loose->nb_have; i++)
        CHECK(loose->have[i] != head);
    loose->have[loose->nb_have++] = head;
    atomic_store(vring_avail_event(ring), (uint16_t)(loose->seen + VRING_EVENT_FAR));
    return true;
}

/* Move a random head among those held to the front. */
static void shuffle_one(struct loose *loose, unsigned front)
{
    uint16_t head = loose->have[front];

    loose->random = loose->random * 6364136223846793005u + 1442695040888963407u;
    unsigned i = front + (unsigned)(loose->random >> 33) % (loose->nb_have - front);
    loose->have[front] = loose->have[i];
    loose->have[i] = head;
}

static void give_back(struct loose *loose, const uint32_t *lens, unsigned nb)
{
    const struct vring *ring = ring_of(loose);

    for (unsigned i = 0; i < nb; i++) {
        struct vring_used_elem *elem = &ring->used->ring[loose->used++ & (ring->size - 1)];
        atomic_store(&elem->id, loose->have[i]);
        atomic_store(&elem->len, lens[i]);
    }
    for (unsigned i = nb; i < loose->nb_have; i++)
        loose->have[i - nb] = loose->have[i];
    loose->nb_have -= nb;
    vring_publish(&ring->used->idx, loose->used);
}

unsigned loose_lend(struct loose *loose, struct vhost_frame *rooms, unsigned nb)
{
    while (take(loose))
        ;
    nb = nb < loose->nb_have ? nb : loose->nb_have;
    for (unsigned i = 0; i < nb; i++) {
        shuffle_one(loose, i);
        rooms[i] = buffer_of(loose, loose->have[i]);
    }
    return nb;
}

void loose_send(struct loose *loose, const struct vhost_frame *frames, unsigned nb)
{
    static const struct virtio_net_header plain = {.nb_buffers = 1};
    uint32_t lens[BED_SIZE_MAX];

    for (unsigned i = 0; i < nb; i++) {
        __builtin_memcpy(frames[i].data - sizeof(plain), &plain, sizeof(plain));
        lens[i] = frames[i].len + VIRTIO_NET_HEADER_BYTES;
    }
    give_back(loose, lens, nb);
}

unsigned loose_receive(struct loose *loose, struct vhost_frame *frames, unsigned nb)
{
    unsigned nb_rx = 0;

    while (nb_rx < nb && take(loose))
        frames[nb_rx++] = buffer_of(loose, loose->have[loose->nb_have - 1]);
    return nb_rx;
}

void loose_return(struct loose *loose, unsigned nb)
{
    static const uint32_t lens[BED_SIZE_MAX];

    nb = nb < loose->nb_have ? nb : loose->nb_have;
    for (unsigned i = 0; i < nb; i++)
        shuffle_one(loose, i);
    give_back(loose, lens, nb);
}
