/* SPDX-License-Identifier: BSD-3-Clause */
/* Prefetch of lines that are read and then overwritten: a reply is written over its request. */
#ifndef NEARMETAL_FETCH_H
#define NEARMETAL_FETCH_H

#include <stdint.h>

/*
 * Fetch the cache lines on which nb bytes lie, for writing: the other side of the wire wrote them
 * last, and a line fetched for reading would need a second transfer for the store. Fetch no more
 * lines than are needed: each is transferred twice. prefetchw does nothing on processors without
 * it, and never faults. Not __builtin_prefetch: GCC 12 regards a function that only prefetches as
 * one without effect, and removes its calls.
 */
static inline void fetch_to_write(const uint8_t *data, uint32_t nb)
{
    const uint8_t *line = (const uint8_t *)((uintptr_t)data & ~(uintptr_t)63);

    for (; line < data + nb; line += 64)
        __asm__ volatile("prefetchw %0" : : "m"(*line));
}

#endif
