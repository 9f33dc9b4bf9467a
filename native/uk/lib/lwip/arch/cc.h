/* SPDX-License-Identifier: BSD-3-Clause */
/* lwIP's port to this compiler (gcc or clang, x86-64), without a C library; see lwip/arch.h. */
#ifndef NEARMETAL_LWIP_CC_H
#define NEARMETAL_LWIP_CC_H

#include <stdint.h>

#include "checksum.h"

#define LWIP_NO_INTTYPES_H 1
#define LWIP_NO_LIMITS_H 1
#define LWIP_NO_UNISTD_H 1
#define LWIP_NO_CTYPE_H 1
#ifndef INT_MAX
#define INT_MAX __INT_MAX__
#endif

/* Formats of messages that are never printed. */
#define X8_F "02x"
#define U16_F "u"
#define S16_F "d"
#define X16_F "x"
#define U32_F "u"
#define S32_F "d"
#define X32_F "x"
#define SZT_F "zu"
#define LWIP_PLATFORM_DIAG(message)
/* A programming error; LWIP_NOASSERT removes the assertions. */
#define LWIP_PLATFORM_ASSERT(message) __builtin_trap()

#define BYTE_ORDER LITTLE_ENDIAN
#define lwip_htons(value) __builtin_bswap16((uint16_t)(value))
#define lwip_htonl(value) __builtin_bswap32((uint32_t)(value))

/* In freestanding code a plain memcpy would be a function call, even for six bytes. */
#define MEMCPY(to, from, nb) __builtin_memcpy(to, from, nb)
#define SMEMCPY(to, from, nb) __builtin_memcpy(to, from, nb)

/* The sum of frames/, over words in memory order and not inverted, as lwIP expects it. */
static inline __attribute__((always_inline)) uint16_t lwip_glue_sum(const void *data, int nb)
{
    if (__builtin_expect(nb == 20, 1)) /* an IPv4 header */
        return checksum_fold(checksum_add(0, (const uint8_t *)data, 20));
    return checksum_fold(checksum_add(0, (const uint8_t *)data, (uint32_t)nb));
}
#define LWIP_CHKSUM lwip_glue_sum

#endif
