/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Load, store, copy and compare a few bytes, without a call, and without touching a byte outside
 * the named range.
 *
 * Keys and small values are what a store moves most, and their lengths are known only at run time:
 * a call of memcpy for 16 bytes costs more than the rest of a look-up in cache. Two loads that may
 * overlap cover a range. The vectors are GCC's extension, which clang has too; they need no header.
 */
#ifndef NEARMETAL_BYTES_H
#define NEARMETAL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The four functions that a freestanding C compiler may call in any case (GCC manual, 2.1). */
void *memcpy(void *restrict to, const void *restrict from, size_t nb_bytes);
void *memmove(void *to, const void *from, size_t nb_bytes);
void *memset(void *to, int byte, size_t nb_bytes);
int memcmp(const void *a, const void *b, size_t nb_bytes);

typedef uint8_t vec16 __attribute__((vector_size(16)));
typedef char signed_vec16 __attribute__((vector_size(16)));

static inline uint16_t load16(const uint8_t *from)
{
    uint16_t value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

static inline uint32_t load32(const uint8_t *from)
{
    uint32_t value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

static inline uint64_t load64(const uint8_t *from)
{
    uint64_t value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

static inline vec16 load_vec(const uint8_t *from)
{
    vec16 value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

static inline void store16(uint8_t *to, uint16_t value)
{
    __builtin_memcpy(to, &value, sizeof value);
}

static inline void store32(uint8_t *to, uint32_t value)
{
    __builtin_memcpy(to, &value, sizeof value);
}

static inline void store64(uint8_t *to, uint64_t value)
{
    __builtin_memcpy(to, &value, sizeof value);
}

static inline void store_vec(uint8_t *to, vec16 value)
{
    __builtin_memcpy(to, &value, sizeof value);
}

/* Return one bit per byte: its top bit (SSE2 pmovmskb). */
static inline uint32_t vec_mask(vec16 value)
{
    return (uint32_t)__builtin_ia32_pmovmskb128((signed_vec16)value);
}

/* Return one bit per byte: 1 for a space or a control character. */
static inline uint32_t vec_blanks(vec16 value)
{
    return vec_mask((vec16)(value <= 0x20));
}

static inline uint32_t from_big16(uint16_t value)
{
    return __builtin_bswap16(value);
}

static inline void copy_bytes(uint8_t *restrict to, const uint8_t *restrict from, uint32_t nb)
{
    if (nb >= 16) {
        if (nb > 256) {
            memcpy(to, from, nb);
            return;
        }
        vec16 last = load_vec(from + nb - 16);
        for (uint32_t i = 0; i < nb - 16; i += 16)
            store_vec(to + i, load_vec(from + i));
        store_vec(to + nb - 16, last);
    } else if (nb >= 8) {
        uint64_t first = load64(from), last = load64(from + nb - 8);
        store64(to, first);
        store64(to + nb - 8, last);
    } else if (nb >= 4) {
        uint32_t first = load32(from), last = load32(from + nb - 4);
        store32(to, first);
        store32(to + nb - 4, last);
    } else {
        for (uint32_t i = 0; i < nb; i++)
            to[i] = from[i];
    }
}

static inline bool equal_bytes(const uint8_t *a, const uint8_t *b, uint32_t nb)
{
    if (nb >= 16) {
        vec16 differ = load_vec(a + nb - 16) ^ load_vec(b + nb - 16);
        for (uint32_t i = 0; i < nb - 16; i += 16)
            differ |= load_vec(a + i) ^ load_vec(b + i);
        return vec_mask((vec16)(differ == 0)) == 0xffff;
    }
    if (nb >= 8)
        return ((load64(a) ^ load64(b)) | (load64(a + nb - 8) ^ load64(b + nb - 8))) == 0;
    if (nb >= 4)
        return ((load32(a) ^ load32(b)) | (load32(a + nb - 4) ^ load32(b + nb - 4))) == 0;
    for (uint32_t i = 0; i < nb; i++) {
        if (a[i] != b[i])
            return false;
    }
    return true;
}

#endif
