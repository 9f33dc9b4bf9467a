/* SPDX-License-Identifier: BSD-3-Clause */
/* The functions of <string.h> that lwIP names: four that every image has, and two that are never
 * called. */
#ifndef NEARMETAL_LWIP_STRING_H
#define NEARMETAL_LWIP_STRING_H

#include <stddef.h>

void *memcpy(void *to, const void *from, size_t nb);
void *memmove(void *to, const void *from, size_t nb);
void *memset(void *to, int byte, size_t nb);
int memcmp(const void *a, const void *b, size_t nb);

static inline size_t strlen(const char *text)
{
    size_t nb = 0;
    while (text[nb] != '\0')
        nb++;
    return nb;
}

static inline int strncmp(const char *a, const char *b, size_t nb)
{
    for (; nb > 0; nb--, a++, b++) {
        if (*a != *b || *a == '\0')
            return (unsigned char)*a - (unsigned char)*b;
    }
    return 0;
}

#endif
