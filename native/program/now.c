/* SPDX-License-Identifier: BSD-3-Clause */
/* Time for Linux programs (serve.h). */
#include <time.h>

#include "serve.h"

uint64_t serve_now_ns(void)
{
    /*
     * The coarse clocks are read in a few nanoseconds and resolve a few milliseconds, which is
     * enough: the service counts seconds. From the first call on the monotonic clock counts, so
     * that a step of the wall clock expires nothing.
     */
    static int64_t wall_minus_monotonic_ns;
    struct timespec monotonic;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &monotonic);
    int64_t monotonic_ns = monotonic.tv_sec * 1000000000ll + monotonic.tv_nsec;
    if (wall_minus_monotonic_ns == 0) {
        struct timespec wall;
        clock_gettime(CLOCK_REALTIME_COARSE, &wall);
        wall_minus_monotonic_ns = wall.tv_sec * 1000000000ll + wall.tv_nsec - monotonic_ns;
    }
    return (uint64_t)(monotonic_ns + wall_minus_monotonic_ns);
}
