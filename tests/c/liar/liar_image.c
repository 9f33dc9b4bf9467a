/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A liar in an image, which has no files, no signals and no C library: it counts its lies. A
 * process with access to its memory finds the counts by name (/proc/PID/mem, the image's symbols).
 */
#include <assert.h>
#include <string.h>

#include "liar.h"
#include "serve.h"

uint64_t liar_counts[NB_LIES];

void liar_log(enum lie lie, uint32_t number)
{
    (void)number;
    liar_counts[lie]++;
}

/* Unix time is enough: the clock is not set while a test runs. */
uint64_t liar_now_ns(void)
{
    return serve_now_ns();
}

/* Functions that the liar needs and an image's own libraries do not have. */

void *memchr(const void *bytes, int byte, size_t nb_bytes)
{
    const uint8_t *at = bytes;

    for (size_t i = 0; i < nb_bytes; i++) {
        if (at[i] == (uint8_t)byte)
            return (void *)(uintptr_t)(at + i);
    }
    return NULL;
}

void __assert_fail(const char *assertion, const char *file, unsigned int line, const char *function)
{
    (void)assertion, (void)file, (void)line, (void)function;
    __builtin_trap();
}
