/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The fast path for the usual datagram: one get or gets of one key, or one plain set.
 *
 * Only the exact usual spelling is accepted: single spaces, \r\n, a key without control characters,
 * small unsigned numbers, nothing behind it. Everything else, errors included, is left to the
 * general interpreter (ascii.h), which gives the same answers for the usual datagrams, but slower.
 */
#ifndef NEARMETAL_FAST_H
#define NEARMETAL_FAST_H

#include "reply.h"

enum fast_kind { FAST_NO, FAST_GET, FAST_GETS, FAST_SET };

struct fast {
    const uint8_t *key;
    const uint8_t *value;
    uint32_t key_bytes, value_bytes;
    uint32_t flags, exptime;
};

#define FAST_WORD(a, b, c, d)                                                                      \
    ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

/* Whether the key has no space or control character. At least 12 bytes precede the key. */
static inline bool fast_key_is_plain(const uint8_t *key, uint32_t nb)
{
    /* For a short key the load begins before it: drop the bits of those bytes. */
    uint32_t blanks = vec_blanks(load_vec(key + nb - 16));
    if (nb < 16)
        return blanks >> (16 - nb) == 0;
    for (uint32_t i = 0; i + 16 < nb; i += 16)
        blanks |= vec_blanks(load_vec(key + i));
    return blanks == 0;
}

/* Return the bytes before the first space or control character; the datagram ends in one. */
static inline uint32_t fast_word_bytes(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *from = at;
    for (; end - at >= 16; at += 16) {
        uint32_t blanks = vec_blanks(load_vec(at));
        if (blanks != 0)
            return (uint32_t)(at - from) + (uint32_t)__builtin_ctz(blanks);
    }
    while (*at > ' ')
        at++;
    return (uint32_t)(at - from);
}

/* Read up to 9 digits and the byte that ends them. The datagram ends in a byte that is no digit. */
static inline bool fast_number(const uint8_t **at, uint8_t end_byte, uint32_t *number)
{
    const uint8_t *from = *at, *digit = from;
    uint32_t value = 0, figure;
    while ((figure = *digit - (uint32_t)'0') <= 9) {
        value = value * 10 + figure; /* wraps only for lengths that are refused below */
        digit++;
    }
    *number = value;
    *at = digit + 1;
    return digit > from && digit - from <= 9 && *digit == end_byte;
}

static inline enum fast_kind fast_parse_set(const uint8_t *data, uint32_t len, struct fast *fast)
{
    const uint8_t *end = data + len, *at = fast->key;
    fast->key_bytes = fast_word_bytes(at, end);
    at += fast->key_bytes;
    if (fast->key_bytes - 1 > ITEM_KEY_BYTES_MAX - 1 || *at++ != ' ')
        return FAST_NO;
    if (!fast_number(&at, ' ', &fast->flags) || !fast_number(&at, ' ', &fast->exptime) ||
        !fast_number(&at, '\r', &fast->value_bytes))
        return FAST_NO;
    /* Here at <= end: the byte before `at` is the '\r' just matched. */
    fast->value = at + 1;
    if ((uint64_t)(end - at) != (uint64_t)fast->value_bytes + 3 || *at != '\n' ||
        fast->value_bytes > ITEM_VALUE_BYTES_MAX)
        return FAST_NO;
    return FAST_SET;
}

/* Parse a whole datagram of more than 8 bytes, frame included. */
static inline enum fast_kind fast_parse(const uint8_t *data, uint32_t len, struct fast *fast)
{
    if (len < FRAME_BYTES + 7 || load16(data + len - 2) != load16((const uint8_t *)"\r\n"))
        return FAST_NO;
    uint32_t word = load32(data + FRAME_BYTES);
    enum fast_kind kind = FAST_GET;
    fast->key = data + FRAME_BYTES + 4;
    if (word == FAST_WORD('s', 'e', 't', ' '))
        return fast_parse_set(data, len, fast);
    if (word == FAST_WORD('g', 'e', 't', 's') && data[FRAME_BYTES + 4] == ' ') {
        fast->key++;
        kind = FAST_GETS;
    } else if (word != FAST_WORD('g', 'e', 't', ' ')) {
        return FAST_NO;
    }
    fast->key_bytes = len - 2 - (uint32_t)(fast->key - data);
    /* At least 4 bytes, so that the 16 bytes before the key's end are all in the datagram. */
    if (fast->key_bytes - 4 > ITEM_KEY_BYTES_MAX - 4 ||
        !fast_key_is_plain(fast->key, fast->key_bytes))
        return FAST_NO;
    return kind;
}

#endif
