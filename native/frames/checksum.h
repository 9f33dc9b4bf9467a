/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The Internet checksum (RFC 1071).
 *
 * Words are added as they lie in memory: the ones' complement sum does not depend on the byte order
 * (RFC 1071, 2 B), so the result is stored without conversion. Sums are kept in 64 bits and folded
 * once, at the end.
 */
#ifndef NEARMETAL_CHECKSUM_H
#define NEARMETAL_CHECKSUM_H

#include <stdint.h>

static inline uint64_t checksum_load(const uint8_t *from, uint32_t nb)
{
    uint64_t value = 0;
    __builtin_memcpy(&value, from, nb);
    return value;
}

/* Add nb bytes, with a zero after an odd last byte. Only the last range of a sum may be odd. */
static inline uint64_t checksum_add(uint64_t sum, const uint8_t *data, uint32_t nb)
{
    for (; nb >= 8; nb -= 8, data += 8) {
        uint64_t word = checksum_load(data, 8);
        sum += (word & 0xffffffff) + (word >> 32);
    }
    if (nb & 4) {
        sum += checksum_load(data, 4);
        data += 4;
    }
    if (nb & 2) {
        sum += checksum_load(data, 2);
        data += 2;
    }
    /* No conditional expression: GCC 14 makes a multiplication of it, and always reads *data. */
    if (nb & 1)
        sum += *data;
    return sum;
}

/* Fold to 16 bits, carries added in. Returns 0xffff if the bytes include their own correct
 * checksum. (The sum of no bytes is 0, but a header has bytes.) */
static inline uint16_t checksum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

#endif
