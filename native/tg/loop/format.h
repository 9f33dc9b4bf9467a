/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of requests, replies, keys and values.
 *
 * A key is "nm" and its number, padded with zeros to key_bytes. A value is its key's number, a
 * version, and over the rest of its length a pattern made from both. So every changed byte, and
 * every mixture of two values, is detected. Only the shortest value has no space for a pattern: a
 * changed byte of its version gives another version, which passes only if that version was sent and
 * is not older than the acknowledged one.
 */
#ifndef NEARMETAL_TG_FORMAT_H
#define NEARMETAL_TG_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#include "words.h"

#define FRAME_BYTES 8u
#define LOW_DIGITS 8u
#define KEY_BYTES_MIN 8u   /* "nm" and 6 digits */
#define KEY_BYTES_LONG 12u /* "nm" and 10 digits: any 32-bit number. In a shorter key only the */
                           /* last eight bytes vary. */
#define KEY_BYTES_MAX 250u
#define VALUE_BYTES_MIN 8u /* number and version */
/* Most bytes of a reply, frame included: longer replies arrive in several datagrams. */
#define REPLY_BYTES_MAX 1400u
#define FORMAT_HEAD_BYTES_MAX PATTERN_BYTES_MAX /* frame, word, key and numbers */

enum op { OP_GET, OP_SET };

struct format {
    uint32_t key_bytes, value_bytes;
    uint32_t get_bytes, set_bytes;          /* whole requests */
    uint32_t hit_bytes;                     /* whole reply to a GET that hits */
    struct pattern get, set_head, hit_head; /* the latter two end before the value */
    bool short_keys;                        /* shorter than KEY_BYTES_LONG */
    uint64_t short_mask, short_text;        /* of a short key's last eight bytes: digits, or "nm" */
};

/* Prepare the formats. False: a reply would not fit one datagram, or a size is out of range. */
bool format_init(struct format *format, uint32_t key_bytes, uint32_t value_bytes);

/* Number of keys, counted from number 0, that fit keys of this length. */
uint64_t format_keys_max(uint32_t key_bytes);

/* Convert digits to those of a short key. */
static inline struct digits format_digits_short(const struct format *format, struct digits digits)
{
    digits.low = (digits.low & format->short_mask) | format->short_text;
    digits.high = (uint16_t)digits.low;
    return digits;
}

static inline struct digits format_digits(const struct format *format, uint32_t number)
{
    struct digits digits = digits_make(number);

    return format->short_keys ? format_digits_short(format, digits) : digits;
}

/* Write the reply to a GET of `number`, up to the value and frame included. Returns its length. */
uint32_t format_hit_head(const struct format *format, uint8_t *room, uint16_t id, uint32_t number);

/* Parse a key. True: it has the generator's form, and *number is set. */
bool format_parse_key(const uint8_t *key, uint32_t bytes, uint32_t *number);

/* The pattern is a sequence of 64-bit words with a constant difference and an arbitrary start:
 * cheap to generate, and compared in whole words. */
#define VALUE_HEAD_BYTES 8u
#define VALUE_STEP 0x9e3779b97f4a7c15u

static inline uint64_t value_start(uint32_t number, uint32_t version)
{
    uint64_t x = ((uint64_t)version << 32 | number) * 0xbf58476d1ce4e5b9u + VALUE_STEP;

    x = (x ^ (x >> 29)) * 0x94d049bb133111ebu;
    return x ^ (x >> 32);
}

void value_fill(uint8_t *value, uint32_t bytes, uint32_t number, uint32_t version);

/* Compare a value with the one that value_fill writes for `number` and the value's own version,
 * which is stored in *version. 0: all bytes are the same. */
static inline uint64_t value_differs(const uint8_t *value, uint32_t bytes, uint32_t number,
                                     uint32_t *version)
{
    uint64_t head = word_read(value), differs = (uint32_t)head ^ number, word, got;
    uint32_t at = VALUE_HEAD_BYTES;

    *version = (uint32_t)(head >> 32);
    word = value_start(number, *version);
    for (; at + 8 <= bytes; at += 8, word += VALUE_STEP) {
        memcpy(&got, value + at, 8);
        differs |= got ^ word;
    }
    if (at < bytes) {
        got = 0;
        memcpy(&got, value + at, bytes - at);
        differs |= (got ^ word) << (8 * (8 - (bytes - at)));
    }
    return differs;
}

/* Whether value_differs returns 0. */
static inline bool value_matches(const uint8_t *value, uint32_t bytes, uint32_t number,
                                 uint32_t *version)
{
    return value_differs(value, bytes, number, version) == 0;
}

/* Write a SET; returns its length. */
uint32_t format_set(const struct format *format, uint8_t *room, uint16_t id, struct digits digits,
                    uint32_t number, uint32_t version);

/* Write a whole request into a room of format->set_bytes; returns its length. digits: of the
 * number; version: of a SET. */
static inline uint32_t format_write(const struct format *format, uint8_t *room, uint16_t id,
                                    enum op op, struct digits digits, uint32_t number,
                                    uint32_t version)
{
    if (__builtin_expect(op == OP_SET, 0))
        return format_set(format, room, id, digits, number, version);
    pattern_write(&format->get, room, id, digits);
    return format->get_bytes;
}

static inline uint32_t format_request(const struct format *format, uint8_t *room, uint16_t id,
                                      enum op op, uint32_t number, uint32_t version)
{
    return format_write(format, room, id, op, format_digits(format, number), number, version);
}

#endif
