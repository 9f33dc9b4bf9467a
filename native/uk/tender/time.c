/* SPDX-License-Identifier: BSD-3-Clause */
/* timekeeper: the time of the data process. See tender.h, and control.h for the sequence lock. */
#include <time.h>
#include <x86intrin.h>

#include "tender.h"

#define NS_PER_S 1000000000ull
#define FIRST_LOOK_NS 10000000ull /* then twice as long each time, up to a second */
#define FIRST_SPAN_NS 20000u      /* length of the first estimate: exact to a few per mille */

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t timekeeper_now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

/* Nanoseconds in a cycle, times 2^32, measured over all the time since the start. */
static uint64_t mult(const struct timekeeper *keeper, uint64_t tsc, uint64_t ns)
{
    return (uint64_t)(((unsigned __int128)(ns - keeper->start_ns) << CONTROL_CLOCK_SHIFT) /
                      (tsc - keeper->start_tsc));
}

static void write_clock(const struct timekeeper *keeper)
{
    struct control_clock *clock = keeper->clock;
    uint64_t ns = timekeeper_now_ns(), tsc = __rdtsc();
    uint32_t sequence = atomic_load_explicit(&clock->sequence, memory_order_relaxed);

    atomic_store_explicit(&clock->sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&clock->base_tsc, tsc, memory_order_relaxed);
    atomic_store_explicit(&clock->base_ns,
                          (uint64_t)((int64_t)ns + keeper->wall_minus_monotonic_ns),
                          memory_order_relaxed);
    atomic_store_explicit(&clock->mult, mult(keeper, tsc, ns), memory_order_relaxed);
    atomic_store_explicit(&clock->sequence, sequence + 2, memory_order_release);
}

void timekeeper_start(struct timekeeper *keeper, struct control_clock *clock)
{
    uint64_t now_ns = timekeeper_now_ns();

    *keeper = (struct timekeeper){.clock = clock, .start_tsc = __rdtsc(), .start_ns = now_ns};
    keeper->wall_minus_monotonic_ns = (int64_t)(clock_ns(CLOCK_REALTIME) - now_ns);
    while (timekeeper_now_ns() < now_ns + FIRST_SPAN_NS)
        ;
    write_clock(keeper);
    keeper->next_ns = now_ns + FIRST_LOOK_NS;
}

uint64_t timekeeper_look(struct timekeeper *keeper, uint64_t now_ns)
{
    if (now_ns >= keeper->next_ns) {
        uint64_t known_ns = now_ns - keeper->start_ns;
        write_clock(keeper);
        keeper->next_ns = now_ns + (known_ns < NS_PER_S ? known_ns : NS_PER_S);
    }
    return keeper->next_ns;
}

uint64_t timekeeper_tsc_hz(const struct timekeeper *keeper)
{
    uint64_t per_cycle = atomic_load_explicit(&keeper->clock->mult, memory_order_relaxed);

    return (NS_PER_S << CONTROL_CLOCK_SHIFT) / (per_cycle > 0 ? per_cycle : 1);
}
