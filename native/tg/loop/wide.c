/* SPDX-License-Identifier: BSD-3-Clause */
#include "wide.h"

#include <immintrin.h>
#include <stddef.h>

#define AVX2 __attribute__((target("avx2")))
#define LANES 4u
#define DIGITS_LOW_MAX 99999999 /* has eight digits */

_Static_assert(sizeof(struct draw) == 8 && offsetof(struct draw, number) == 0, "one to a lane");
_Static_assert(sizeof(struct digits) == 16 && offsetof(struct digits, low) == 8, "two lanes");

bool wide_supported(void)
{
    return __builtin_cpu_supports("avx2");
}

static inline AVX2 __m256i low_half(__m256i lanes)
{
    return _mm256_and_si256(lanes, _mm256_set1_epi64x(UINT32_MAX));
}

static inline AVX2 __m256i high_half(__m256i lanes)
{
    return _mm256_srli_epi64(lanes, 32);
}

/* The lower half of each lane, times a number of 32 bits. */
static inline AVX2 __m256i times(__m256i lanes, uint32_t number)
{
    return _mm256_mul_epu32(lanes, _mm256_set1_epi64x(number));
}

/* workload_key */
static inline AVX2 __m256i keys_of(const struct workload *workload, __m256i ranks)
{
    const uint64_t step = workload->step_part;
    const __m256i high = _mm256_slli_epi64(times(ranks, (uint32_t)(step >> 32)), 32);
    __m256i parts = _mm256_add_epi64(times(ranks, (uint32_t)step), high);

    parts = _mm256_add_epi64(parts, _mm256_set1_epi64x((long long)workload->shift_part));
    parts = _mm256_add_epi64(times(high_half(parts), workload->nb_keys),
                             high_half(times(parts, workload->nb_keys)));
    return _mm256_add_epi64(high_half(parts), _mm256_set1_epi64x(workload->first));
}

/* The table of places in units of four bytes: threshold, then first rank and number of ranks of
 * two segments. */
_Static_assert(sizeof(struct zipf_place) == 20 && offsetof(struct zipf_place, threshold) == 0 &&
                   offsetof(struct zipf_place, segments) == 4 && sizeof(struct zipf_segment) == 8 &&
                   offsetof(struct zipf_segment, first) == 0,
               "as it is read here");

static inline AVX2 __m256i gather(const struct zipf *zipf, __m256i at)
{
    return _mm256_i64gather_epi64((const long long *)(const void *)zipf->places, at, 4);
}

/* zipf_try; *unsure: ones in the lanes whose rank may have to be drawn again. */
static inline AVX2 __m256i ranks_of(const struct zipf *zipf, __m256i words, __m256i *unsure)
{
    const __m256i at = times(high_half(words), zipf->nb_segments), place = high_half(at);
    const __m256i begin = _mm256_add_epi64(place, _mm256_slli_epi64(place, 2));
    const __m256i is_first = _mm256_cmpgt_epi64(low_half(gather(zipf, begin)), low_half(at));
    /* The second segment begins three units behind the threshold, the first one unit. */
    const __m256i segment =
        gather(zipf, _mm256_add_epi64(_mm256_add_epi64(begin, _mm256_set1_epi64x(3)),
                                      _mm256_add_epi64(is_first, is_first)));
    const __m256i rank = _mm256_mul_epu32(words, high_half(segment));

    *unsure = _mm256_cmpgt_epi64(low_half(rank), _mm256_set1_epi64x(zipf->sure));
    return _mm256_add_epi64(low_half(segment), high_half(rank));
}

static inline AVX2 __m256i words_load(const uint64_t *words)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)words);
}

static inline AVX2 void draws_store(struct draw *draws, __m256i numbers)
{
    _mm256_storeu_si256((__m256i *)(void *)draws, numbers);
}

/* Draw a group. False: a rank may have to be drawn again. */
static inline AVX2 bool group_draw(const struct workload *workload, const uint64_t *words,
                                   struct draw *draws)
{
    __m256i unsure, too;
    const __m256i one = ranks_of(&workload->zipf, words_load(words), &unsure);
    const __m256i other = ranks_of(&workload->zipf, words_load(words + LANES), &too);

    unsure = _mm256_or_si256(unsure, too);
    draws_store(draws, keys_of(workload, one));
    draws_store(draws + LANES, keys_of(workload, other));
    return _mm256_testz_si256(unsure, unsure);
}

/* Not for AVX2: the compiler would move the halves of each product to vector registers, by way of
 * memory. */
static __attribute__((noinline)) void words_fill(struct random random, uint64_t *words, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++)
        words[i] = random_next(&random);
}

AVX2 unsigned wide_numbers(const struct workload *workload, struct random *random,
                           struct draw *draws, unsigned nb)
{
    uint64_t words[WIDE_DRAWS_MAX];
    unsigned at = 0;

    nb = (nb < WIDE_DRAWS_MAX ? nb : WIDE_DRAWS_MAX) / WIDE_DRAWS * WIDE_DRAWS;
    words_fill(*random, words, nb);
    while (at < nb) {
        const uint64_t then = random->state + WIDE_DRAWS * RANDOM_STEP;
        const bool sure = group_draw(workload, words + at, draws + at);

        if (__builtin_expect(sure, 1))
            random->state = then;
        else
            for (unsigned i = 0; i < WIDE_DRAWS; i++)
                draws[at + i] = (struct draw){.number = workload_number(workload, random)};
        at += WIDE_DRAWS;
        if (__builtin_expect(random->state != then, 0))
            break;
    }
    return at;
}

/* digits_make_pair, of four; high: what is above the eight digits. */
static inline AVX2 __m256i digits_low(__m256i numbers)
{
    __m256i high = _mm256_srli_epi64(times(numbers, 0xd1b71759), 45);
    __m256i rest = _mm256_sub_epi64(numbers, times(high, 10000));
    __m256i fours = _mm256_or_si256(high, _mm256_slli_epi64(rest, 32)), twos, ones;

    high = _mm256_srli_epi16(_mm256_mulhi_epu16(fours, _mm256_set1_epi16(5243)), 3);
    rest = _mm256_sub_epi16(fours, _mm256_mullo_epi16(high, _mm256_set1_epi16(100)));
    twos = _mm256_or_si256(high, _mm256_slli_epi32(rest, 16));
    high = _mm256_srli_epi16(_mm256_mullo_epi16(twos, _mm256_set1_epi16(103)), 10);
    rest = _mm256_sub_epi16(twos, _mm256_mullo_epi16(high, _mm256_set1_epi16(10)));
    ones = _mm256_or_si256(high, _mm256_slli_epi16(rest, 8));
    return _mm256_add_epi8(ones, _mm256_set1_epi8('0'));
}

static inline AVX2 void digits_store(struct digits *one, struct digits *other, __m256i both)
{
    _mm_storeu_si128((__m128i *)(void *)one, _mm256_castsi256_si128(both));
    _mm_storeu_si128((__m128i *)(void *)other, _mm256_extracti128_si256(both, 1));
}

AVX2 unsigned wide_digits(const struct draw *draws, struct digits *digits, unsigned nb)
{
    const __m256i most = _mm256_set1_epi64x(DIGITS_LOW_MAX), zeros = _mm256_set1_epi64x(0x3030);
    unsigned at = 0;

    for (; at + LANES <= nb; at += LANES) {
        const __m256i numbers =
            low_half(_mm256_loadu_si256((const __m256i *)(const void *)(draws + at)));
        const __m256i more = _mm256_cmpgt_epi64(numbers, most), low = digits_low(numbers);

        digits_store(&digits[at], &digits[at + 2], _mm256_unpacklo_epi64(zeros, low));
        digits_store(&digits[at + 1], &digits[at + 3], _mm256_unpackhi_epi64(zeros, low));
        if (__builtin_expect(!_mm256_testz_si256(more, more), 0))
            for (unsigned i = at; i < at + LANES; i++)
                digits[i] = digits_make(draws[i].number);
    }
    return at;
}
