/* SPDX-License-Identifier: BSD-3-Clause */
/* Notifications of a ring of the device side: calls to the driver, and kicks from it. See
 * vhost_ring.h, and vring.h on the order of steps. */
#include <unistd.h>

#include "vhost_ring.h"

void vhost_ring_call(struct vhost_ring *ring)
{
    uint64_t one = 1;

    if (ring->call_fd < 0)
        return;
    ring->nb_calls++;
    if (write(ring->call_fd, &one, sizeof(one)) < 0)
        return; /* the counter is full: the driver has calls pending */
}

/* Whether the driver has offered nothing beyond what the caller was given. */
static bool is_empty(const struct vhost_ring *ring)
{
    uint16_t first = ring->frames ? ring->given : ring->done;

    return vring_see(&ring->vring.avail->idx) == first;
}

bool vhost_ring_want_kicks(struct vhost_ring *ring, bool wanted)
{
    struct vring_used *used = ring->vring.used;

    if (ring->event_idx) {
        /* Suppressed: as far away as an index modulo 2^16 can be (vring.h). */
        atomic_store_explicit(vring_avail_event(&ring->vring),
                              wanted ? ring->seen : (uint16_t)(ring->seen + VRING_EVENT_FAR),
                              memory_order_relaxed);
    } else {
        atomic_store_explicit(&used->flags, wanted ? 0 : VRING_USED_F_NO_NOTIFY,
                              memory_order_relaxed);
    }
    if (!wanted)
        return false;
    vring_fence();
    VRING_MOMENT("device: asked for a kick");
    return !is_empty(ring);
}
