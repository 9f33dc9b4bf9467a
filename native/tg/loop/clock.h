/* SPDX-License-Identifier: BSD-3-Clause */
/* The generator's time: TSC cycles in the loop, calibrated against CLOCK_MONOTONIC at the start. */
#ifndef NEARMETAL_TG_CLOCK_H
#define NEARMETAL_TG_CLOCK_H

#include <stdint.h>
#include <time.h>
#include <x86intrin.h>

#define NS_PER_S 1000000000ull

static inline uint64_t clock_cycles(void)
{
    return __rdtsc();
}

static inline uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static inline void clock_sleep_ns(uint64_t ns)
{
    struct timespec wait = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};

    nanosleep(&wait, NULL);
}

/* Measure TSC cycles a second by a wait of 50 ms: an error of 1 us is 20 ppm. */
static inline uint64_t clock_calibrate(void)
{
    uint64_t ns = clock_ns(), cycles = clock_cycles();

    clock_sleep_ns(50000000);
    cycles = clock_cycles() - cycles;
    ns = clock_ns() - ns;
    return (uint64_t)((double)cycles * 1e9 / (double)ns);
}

#endif
