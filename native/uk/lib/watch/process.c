/* SPDX-License-Identifier: BSD-3-Clause */
/* watch, as a process: the mark is in the control page, and the tender looks at it. */
#include "watch.h"

#include "process.h"

struct watch_mark *watch_open(void)
{
    struct control_watch *watch = &process_control()->watch;

    atomic_store_explicit(&watch->is_watched, 1, memory_order_relaxed);
    return &watch->mark;
}
