/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The part that kv and echo share: requests in memcached's frame that name a key. Included by
 * load_kv.h and load_echo.h; LOAD_CLASSES is defined by loop_<name>.c: 1, or CLASSES_MAX for a turn
 * that looks the class of each key up.
 */
#ifndef NEARMETAL_TG_KEYED_H
#define NEARMETAL_TG_KEYED_H

#include "loop.h"
#include "wide.h"

/* The format of the requests and replies about this key. */
static inline const struct format *keyed_format(const struct loop *loop, uint32_t number)
{
    const struct classes *classes = &loop->classes;

    return &classes->formats[LOAD_CLASSES == 1 ? 0 : classes_find(classes, number)];
}

/* The format of key 0, which is of any class. */
static inline const struct format *keyed_first(const struct loop *loop)
{
    return &loop->classes.formats[classes_find(&loop->classes, 0)];
}

static inline bool keyed_id(const struct datagram *reply, uint16_t *id)
{
    if (__builtin_expect(reply->len < FRAME_BYTES, 0))
        return false;
    *id = __builtin_bswap16(word_read_short(reply->data));
    return true;
}

/* Convert the digits to those of short keys. Not inlined, so that the code of other loads stays the
 * same. */
static __attribute__((noinline)) void keyed_shorten(struct loop *loop, unsigned begin, unsigned nb)
{
    for (unsigned i = begin; i < begin + nb; i++) {
        const struct format *format = keyed_format(loop, loop->draws[i].number);

        if (LOAD_CLASSES == 1 || format->short_keys)
            loop->digits[i] = format_digits_short(format, loop->digits[i]);
    }
}

/* The digits of the numbers of the draws [begin, begin + nb). */
static inline void keyed_digits(struct loop *loop, unsigned begin, unsigned nb)
{
    const struct draw *draws = &loop->draws[begin];
    struct digits *digits = &loop->digits[begin];
    unsigned i = loop->workload.wide ? wide_digits(draws, digits, nb) : 0;

    for (; i + 2 <= nb; i += 2) {
        uint32_t one = draws[i].number, other = draws[i + 1].number;

        if (__builtin_expect(one >= 100000000 || other >= 100000000, 0)) {
            digits[i] = digits_make(one);
            digits[i + 1] = digits_make(other);
        } else {
            digits_make_pair(one, other, &digits[i]);
        }
    }
    if (i < nb)
        digits[i] = digits_make(draws[i].number);
}

#endif
