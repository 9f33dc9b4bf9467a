/* SPDX-License-Identifier: BSD-3-Clause */
/* Of <stdlib.h> what lwIP names: an interface's number out of its name, which nothing calls. */
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
