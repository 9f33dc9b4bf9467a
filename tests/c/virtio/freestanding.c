/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's side, compiled freestanding (../service/freestanding.sh). */
#include "vring_driver.h"

uint16_t turn_round(struct vring_driver *rx, struct vring_driver *tx, uint16_t *order,
                    const struct vring *ring);

/* Call every function of the driver's side. */
uint16_t turn_round(struct vring_driver *rx, struct vring_driver *tx, uint16_t *order,
                    const struct vring *ring)
{
    uint32_t len;

    vring_driver_init(rx, ring, order, true);
    vring_driver_describe(rx, 0, 0, 0, 0);
    for (uint16_t nb = vring_driver_used(rx); nb > 0; nb--)
        vring_driver_offer(tx, vring_driver_take(rx, &len));
    vring_driver_publish(tx);
    return vring_driver_kick_wanted(tx);
}
