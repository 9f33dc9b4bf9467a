/* SPDX-License-Identifier: BSD-3-Clause */
/* string: the four functions that a compiler may call in any program (GCC manual, 2.1). See
 * README.md. */
#include "bytes.h"

/* Only long blocks arrive here, because short ones are copied inline (bytes.h). The processor's own
 * copy moves whole cache lines (Intel's optimization manual, 3.7.6). */
void *memcpy(void *restrict to, const void *restrict from, size_t nb_bytes)
{
    void *at = to;

    __asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(nb_bytes) : : "memory");
    return to;
}

void *memset(void *to, int byte, size_t nb_bytes)
{
    void *at = to;

    __asm__ volatile("rep stosb" : "+D"(at), "+c"(nb_bytes) : "a"(byte) : "memory");
    return to;
}

void *memmove(void *to, const void *from, size_t nb_bytes)
{
    uint8_t *last = (uint8_t *)to + nb_bytes - 1;
    const uint8_t *last_from = (const uint8_t *)from + nb_bytes - 1;

    if ((uintptr_t)to - (uintptr_t)from >= nb_bytes)
        return memcpy(to, from, nb_bytes);
    /* `to` lies inside `from`: copy backwards. */
    __asm__ volatile("std; rep movsb; cld"
                     : "+D"(last), "+S"(last_from), "+c"(nb_bytes)
                     :
                     : "memory");
    return to;
}

int memcmp(const void *a, const void *b, size_t nb_bytes)
{
    const uint8_t *one = a, *other = b;

    for (size_t i = 0; i < nb_bytes; i++) {
        if (one[i] != other[i])
            return one[i] - other[i];
    }
    return 0;
}
