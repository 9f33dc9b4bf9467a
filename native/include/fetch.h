/* SPDX-License-Identifier: BSD-3-Clause */
/* Fetching of what will be read and then overwritten: a request, in whose place its reply goes. */
#ifndef NEARMETAL_FETCH_H
#define NEARMETAL_FETCH_H

#include <stdint.h>

/*
 * Fetch the cache lines on which nb bytes lie. To be written, not only read: the other side of the
 * wire had them last, and a line fetched to be read would have to be asked for again. No more lines
 * than are needed: each is transferred twice. prefetchw does nothing where a processor has it not,
 * and nothing faults. Not __builtin_prefetch: a function that does nothing else has no effect in
 * the compiler's eyes, and its calls vanish (GCC 12).
 */
static inline void fetch_to_write(const uint8_t *data, uint32_t nb)
{
    const uint8_t *line = (const uint8_t *)((uintptr_t)data & ~(uintptr_t)63);

    for (; line < data + nb; line += 64)
        __asm__ volatile("prefetchw %0" : : "m"(*line));
}

#endif
