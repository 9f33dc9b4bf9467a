/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes in whole registers: memory that is read once, numbers as ten digits, and texts in which
 * only an id and a number vary.
 */
#ifndef NEARMETAL_TG_WORDS_H
#define NEARMETAL_TG_WORDS_H

#include <smmintrin.h>
#include <stdint.h>
#include <string.h>

#define PATTERN_BYTES_MAX 320u
#define PATTERN_CHUNK 16u

/* Read memory that the other side may be writing. The value stays in a register: the compiler may
 * not read the memory again for the next decision. */
static inline uint64_t word_read(const uint8_t *from)
{
    uint64_t word;

    memcpy(&word, from, sizeof(word));
    __asm__("" : "+r"(word));
    return word;
}

static inline uint16_t word_read_short(const uint8_t *from)
{
    uint16_t word;

    memcpy(&word, from, sizeof(word));
    __asm__("" : "+r"(word));
    return word;
}

static inline __m128i register_read(const uint8_t *from)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)from);

    __asm__("" : "+x"(bytes));
    return bytes;
}

/* A number in ten decimal digits, in memory order. */
struct digits {
    uint16_t high; /* the first two */
    uint64_t low;
};

/* Halve the eight low digits three times, all parts at once: 10486 / 2^20 is 1/100 for numbers
 * below 10,000, and 103 / 2^10 is 1/10 for numbers below 100. */
static inline struct digits digits_make(uint32_t number)
{
    uint32_t high = 0, part_high;
    uint64_t fours, twos, part;

    if (__builtin_expect(number >= 100000000, 0)) {
        high = number / 100000000;
        number %= 100000000;
    }
    part_high = (high * 103) >> 10; /* high is at most 42 */
    fours = number / 10000 | (uint64_t)(number % 10000) << 32;
    part = (fours * 10486) >> 20 & 0x0000007f0000007f;
    twos = part | (fours - 100 * part) << 16;
    part = (twos * 103) >> 10 & 0x000f000f000f000f;
    return (struct digits){.high = (uint16_t)((part_high | (high - 10 * part_high) << 8) + 0x3030),
                           .low = (part | (twos - 10 * part) << 8) + 0x3030303030303030};
}

/* Convert two numbers at once, each below 100,000,000. 0xd1b71759 / 2^45 is 1/10,000, and 5243 /
 * 2^19 is 1/100 for numbers below 10,000. */
static inline void digits_make_pair(uint32_t one, uint32_t other, struct digits *digits)
{
    __m128i numbers = _mm_set_epi64x((long long)other, (long long)one);
    __m128i high = _mm_srli_epi64(_mm_mul_epu32(numbers, _mm_set1_epi64x(0xd1b71759)), 45);
    __m128i rest = _mm_sub_epi64(numbers, _mm_mul_epu32(high, _mm_set1_epi64x(10000)));
    __m128i fours = _mm_or_si128(high, _mm_slli_epi64(rest, 32)), twos, ones;

    high = _mm_srli_epi16(_mm_mulhi_epu16(fours, _mm_set1_epi16(5243)), 3);
    rest = _mm_sub_epi16(fours, _mm_mullo_epi16(high, _mm_set1_epi16(100)));
    twos = _mm_or_si128(high, _mm_slli_epi32(rest, 16));
    high = _mm_srli_epi16(_mm_mullo_epi16(twos, _mm_set1_epi16(103)), 10);
    rest = _mm_sub_epi16(twos, _mm_mullo_epi16(high, _mm_set1_epi16(10)));
    ones = _mm_or_si128(high, _mm_slli_epi16(rest, 8));
    ones = _mm_add_epi8(ones, _mm_set1_epi8('0'));
    digits[0].high = digits[1].high = 0x3030;
    digits[0].low = (uint64_t)_mm_cvtsi128_si64(ones);
    digits[1].low = (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(ones, ones));
}

/* A text that begins with a 16-bit id, most significant byte first, and contains ten digits, or
 * eight: with eight, high_at and low_at overlap, so two digits are written and compared twice. */
struct pattern {
    uint32_t bytes; /* PATTERN_CHUNK..PATTERN_BYTES_MAX */
    uint32_t high_at, low_at;
    uint8_t text[PATTERN_BYTES_MAX];
    uint8_t mask[PATTERN_BYTES_MAX]; /* 0 for bytes that vary, else 0xff */
};

/* The last chunk ends at the end of the text, and overlaps the chunk before it. */
static inline void pattern_write(const struct pattern *pattern, uint8_t *room, uint16_t id,
                                 struct digits digits)
{
    const uint32_t last = pattern->bytes - PATTERN_CHUNK;
    uint16_t high_first = __builtin_bswap16(id);

    memcpy(room, pattern->text, PATTERN_CHUNK);
    for (uint32_t at = PATTERN_CHUNK; at < last; at += PATTERN_CHUNK)
        memcpy(room + at, pattern->text + at, PATTERN_CHUNK);
    memcpy(room + last, pattern->text + last, PATTERN_CHUNK);
    memcpy(room, &high_first, sizeof(high_first));
    memcpy(room + pattern->high_at, &digits.high, sizeof(digits.high));
    memcpy(room + pattern->low_at, &digits.low, sizeof(digits.low));
}

static inline __m128i pattern_load(const uint8_t *from)
{
    return _mm_loadu_si128((const __m128i *)(const void *)from);
}

static inline __m128i pattern_chunk(const struct pattern *pattern, const uint8_t *bytes,
                                    uint32_t at)
{
    return _mm_and_si128(_mm_xor_si128(pattern_load(bytes + at), pattern_load(pattern->text + at)),
                         pattern_load(pattern->mask + at));
}

/* Compare pattern->bytes bytes with the pattern of this id and number. 0: they are the same. */
static inline uint64_t pattern_differs(const struct pattern *pattern, const uint8_t *bytes,
                                       uint16_t id, struct digits digits)
{
    const uint32_t last = pattern->bytes - PATTERN_CHUNK;
    __m128i differs =
        _mm_or_si128(pattern_chunk(pattern, bytes, 0), pattern_chunk(pattern, bytes, last));
    uint64_t varying, low;
    uint16_t got_id, high;

    for (uint32_t at = PATTERN_CHUNK; at < last; at += PATTERN_CHUNK)
        differs = _mm_or_si128(differs, pattern_chunk(pattern, bytes, at));
    memcpy(&got_id, bytes, sizeof(got_id));
    memcpy(&high, bytes + pattern->high_at, sizeof(high));
    memcpy(&low, bytes + pattern->low_at, sizeof(low));
    varying = (uint64_t)(got_id ^ __builtin_bswap16(id)) | (uint64_t)(high ^ digits.high) |
              (low ^ digits.low);
    return varying |
           (0xffffu ^ (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(differs, _mm_setzero_si128())));
}

#endif
