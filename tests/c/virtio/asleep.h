/* SPDX-License-Identifier: BSD-3-Clause */
/* Whether the device side sleeps and has enabled kicks, by its flag: without EVENT_IDX. */
#ifndef NEARMETAL_TEST_ASLEEP_H
#define NEARMETAL_TEST_ASLEEP_H

#include "vring_driver.h"

static inline bool device_is_asleep(const struct vring_driver *driver)
{
    vring_fence();
    return !(atomic_load_explicit(&driver->ring.used->flags, memory_order_relaxed) &
             VRING_USED_F_NO_NOTIFY);
}

#endif
