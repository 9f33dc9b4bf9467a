/* SPDX-License-Identifier: BSD-3-Clause */
/* The one function of <stdlib.h> that lwIP names: it parses an interface's number, and is never
 * called here. */
#ifndef NEARMETAL_LWIP_STDLIB_H
#define NEARMETAL_LWIP_STDLIB_H

static inline int atoi(const char *text)
{
    int value = 0;
    for (; *text >= '0' && *text <= '9'; text++)
        value = 10 * value + (*text - '0');
    return value;
}

#endif
