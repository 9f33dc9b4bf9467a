/* SPDX-License-Identifier: BSD-3-Clause */
/* Templates are made once; per request only the id, ten digits and the value are written. */
#include "format.h"

#include <stdio.h>
#include <string.h>

#define DIGITS 10u
#define VALUE_HEAD_BYTES 8u

static const uint8_t frame[FRAME_BYTES] = {0, 0, 0, 0, 0, 1, 0, 0}; /* id 0, sequence 0, total 1 */

static uint32_t template_make(uint8_t *room, const char *word, uint32_t key_bytes, const char *tail)
{
    int len = snprintf((char *)room + FRAME_BYTES, FORMAT_HEAD_BYTES_MAX - FRAME_BYTES,
                       "%s nm%0*d%s", word, (int)(key_bytes - 2), 0, tail);

    memcpy(room, frame, FRAME_BYTES);
    return FRAME_BYTES + (uint32_t)len;
}

bool format_init(struct format *format, uint32_t key_bytes, uint32_t value_bytes)
{
    char tail[32];

    memset(format, 0, sizeof(*format));
    if (key_bytes < KEY_BYTES_MIN || key_bytes > KEY_BYTES_MAX || value_bytes < VALUE_BYTES_MIN ||
        value_bytes > REPLY_BYTES_MAX)
        return false;
    format->key_bytes = key_bytes;
    format->value_bytes = value_bytes;
    format->get_bytes = template_make(format->get, "get", key_bytes, "\r\n");
    snprintf(tail, sizeof(tail), " 0 0 %u\r\n", value_bytes);
    format->set_head_bytes = template_make(format->set_head, "set", key_bytes, tail);
    format->set_bytes = format->set_head_bytes + value_bytes + 2;
    snprintf(tail, sizeof(tail), " 0 %u\r\n", value_bytes);
    format->hit_head_bytes = template_make(format->hit_head, "VALUE", key_bytes, tail);
    format->hit_bytes = format->hit_head_bytes + value_bytes + 7; /* "\r\nEND\r\n" */
    return format->hit_bytes <= REPLY_BYTES_MAX;
}

static void digits_write(uint8_t *end, uint32_t number)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233"
        "34353637383940414243444546474849505152535455565758596061626364656667"
        "6869707172737475767778798081828384858687888990919293949596979899";

    for (unsigned i = 0; i < DIGITS; i += 2) {
        end -= 2;
        memcpy(end, pairs + (size_t)(number % 100) * 2, 2);
        number /= 100;
    }
}

static void id_write(uint8_t *room, uint16_t id)
{
    room[0] = (uint8_t)(id >> 8);
    room[1] = (uint8_t)id;
}

uint32_t format_request(const struct format *format, uint8_t *room, uint16_t id, enum op op,
                        uint32_t number, uint32_t version)
{
    uint32_t key_end = FRAME_BYTES + 4 + format->key_bytes; /* behind "get " or "set " */

    if (op == OP_GET) {
        memcpy(room, format->get, format->get_bytes);
        id_write(room, id);
        digits_write(room + key_end, number);
        return format->get_bytes;
    }
    memcpy(room, format->set_head, format->set_head_bytes);
    id_write(room, id);
    digits_write(room + key_end, number);
    value_fill(room + format->set_head_bytes, format->value_bytes, number, version);
    memcpy(room + format->set_head_bytes + format->value_bytes, "\r\n", 2);
    return format->set_bytes;
}

uint32_t format_hit_head(const struct format *format, uint8_t *room, uint16_t id, uint32_t number)
{
    memcpy(room, format->hit_head, format->hit_head_bytes);
    id_write(room, id);
    digits_write(room + FRAME_BYTES + 6 + format->key_bytes, number); /* behind "VALUE " */
    return format->hit_head_bytes;
}

bool format_parse_key(const uint8_t *key, uint32_t bytes, uint32_t *number)
{
    uint64_t n = 0;

    if (bytes < KEY_BYTES_MIN || bytes > KEY_BYTES_MAX || memcmp(key, "nm", 2) != 0)
        return false;
    for (uint32_t i = 2; i < bytes; i++) {
        if (key[i] < '0' || key[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(key[i] - '0');
        if (n > UINT32_MAX)
            return false;
    }
    *number = (uint32_t)n;
    return true;
}

/* The pattern is a sequence of 64-bit words with a fixed step, starting anywhere: cheap to make,
 * and compared whole. */
#define PATTERN_STEP 0x9e3779b97f4a7c15u

static uint64_t pattern_start(uint32_t number, uint32_t version)
{
    uint64_t x = ((uint64_t)version << 32 | number) * 0xbf58476d1ce4e5b9u + PATTERN_STEP;

    x = (x ^ (x >> 29)) * 0x94d049bb133111ebu;
    return x ^ (x >> 32);
}

void value_fill(uint8_t *value, uint32_t bytes, uint32_t number, uint32_t version)
{
    uint64_t word = pattern_start(number, version);
    uint32_t at = VALUE_HEAD_BYTES;

    memcpy(value, &number, 4);
    memcpy(value + 4, &version, 4);
    for (; at + 8 <= bytes; at += 8, word += PATTERN_STEP)
        memcpy(value + at, &word, 8);
    if (at < bytes)
        memcpy(value + at, &word, bytes - at);
}

bool value_matches(const uint8_t *value, uint32_t bytes, uint32_t number, uint32_t *version)
{
    uint32_t at = VALUE_HEAD_BYTES, found;
    uint64_t word, got, differs = 0;

    memcpy(&found, value, 4);
    memcpy(version, value + 4, 4);
    if (found != number)
        return false;
    word = pattern_start(number, *version);
    for (; at + 8 <= bytes; at += 8, word += PATTERN_STEP) {
        memcpy(&got, value + at, 8);
        differs |= got ^ word;
    }
    return differs == 0 && memcmp(value + at, &word, bytes - at) == 0;
}
