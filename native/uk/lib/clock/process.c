/* SPDX-License-Identifier: BSD-3-Clause */
/* clock, as a process: reads the clock that the tender publishes (control.h). */
#include "clock.h"

#include "process.h"
#include "serve.h"

uint64_t clock_tsc_hz(void)
{
    return process_control()->setup.tsc_hz;
}

/* Read again if the tender wrote meanwhile: it writes for some nanoseconds once a second. */
static uint64_t now_by(const struct control_clock *clock)
{
    uint64_t tsc, ns, mult;
    uint32_t before, after;

    do {
        before = atomic_load_explicit(&clock->sequence, memory_order_acquire);
        tsc = atomic_load_explicit(&clock->base_tsc, memory_order_relaxed);
        ns = atomic_load_explicit(&clock->base_ns, memory_order_relaxed);
        mult = atomic_load_explicit(&clock->mult, memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
        after = atomic_load_explicit(&clock->sequence, memory_order_relaxed);
    } while (before != after || before & 1);
    int64_t cycles = (int64_t)(__builtin_ia32_rdtsc() - tsc);
    /* This core's counter may be slightly behind the counter that the tender read. */
    return cycles < 0 ? ns
                      : ns + (uint64_t)(((unsigned __int128)(uint64_t)cycles * mult) >>
                                        CONTROL_CLOCK_SHIFT);
}

uint64_t serve_now_ns(void)
{
    static uint64_t last_ns;
    uint64_t ns = now_by(&process_control()->clock);

    /* Never go back: a better estimate may begin slightly before the last time returned. */
    last_ns = ns > last_ns ? ns : last_ns;
    return last_ns;
}
