/* SPDX-License-Identifier: BSD-3-Clause */
#include "format.h"

#include <stdio.h>
#include <string.h>

static const uint8_t frame[FRAME_BYTES] = {0, 0, 0, 0, 0, 1, 0, 0}; /* id 0, sequence 0, total 1 */

static void pattern_make(struct pattern *pattern, const char *word, uint32_t key_bytes,
                         const char *tail)
{
    int len = snprintf((char *)pattern->text + FRAME_BYTES, PATTERN_BYTES_MAX - FRAME_BYTES,
                       "%s nm%0*d%s", word, (int)(key_bytes - 2), 0, tail);

    memcpy(pattern->text, frame, FRAME_BYTES);
    pattern->bytes = FRAME_BYTES + (uint32_t)len;
    pattern->low_at = FRAME_BYTES + (uint32_t)strlen(word) + 1 + key_bytes - LOW_DIGITS;
    pattern->high_at = key_bytes < KEY_BYTES_LONG ? pattern->low_at : pattern->low_at - 2;
    memset(pattern->mask, 0xff, sizeof(pattern->mask));
    memset(pattern->mask, 0, 2);
    memset(pattern->mask + pattern->high_at, 0, 2);
    memset(pattern->mask + pattern->low_at, 0, LOW_DIGITS);
}

/* Compute the part of "nm" that lies in the key's last eight bytes. */
static void short_init(struct format *format, uint32_t key_bytes)
{
    uint8_t text[LOW_DIGITS] = {0}, mask[LOW_DIGITS];

    memset(mask, 0xff, sizeof(mask));
    for (uint32_t i = 0; i < 2 && key_bytes - LOW_DIGITS + i < 2; i++) {
        text[i] = (uint8_t)"nm"[key_bytes - LOW_DIGITS + i];
        mask[i] = 0;
    }
    format->short_keys = key_bytes < KEY_BYTES_LONG;
    memcpy(&format->short_text, text, sizeof(text));
    memcpy(&format->short_mask, mask, sizeof(mask));
}

uint64_t format_keys_max(uint32_t key_bytes)
{
    uint64_t nb = 1;

    if (key_bytes >= KEY_BYTES_LONG)
        return (uint64_t)UINT32_MAX + 1;
    for (uint32_t i = 2; i < key_bytes && i < 2 + LOW_DIGITS; i++)
        nb *= 10;
    return nb;
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
    short_init(format, key_bytes);
    pattern_make(&format->get, "get", key_bytes, "\r\n");
    format->get_bytes = format->get.bytes;
    snprintf(tail, sizeof(tail), " 0 0 %u\r\n", value_bytes);
    pattern_make(&format->set_head, "set", key_bytes, tail);
    format->set_bytes = format->set_head.bytes + value_bytes + 2;
    snprintf(tail, sizeof(tail), " 0 %u\r\n", value_bytes);
    pattern_make(&format->hit_head, "VALUE", key_bytes, tail);
    format->hit_bytes = format->hit_head.bytes + value_bytes + 7; /* "\r\nEND\r\n" */
    return format->hit_bytes <= REPLY_BYTES_MAX;
}

uint32_t format_set(const struct format *format, uint8_t *room, uint16_t id, struct digits digits,
                    uint32_t number, uint32_t version)
{
    uint8_t *value = room + format->set_head.bytes;

    pattern_write(&format->set_head, room, id, digits);
    value_fill(value, format->value_bytes, number, version);
    memcpy(value + format->value_bytes, "\r\n", 2);
    return format->set_bytes;
}

uint32_t format_hit_head(const struct format *format, uint8_t *room, uint16_t id, uint32_t number)
{
    pattern_write(&format->hit_head, room, id, format_digits(format, number));
    return format->hit_head.bytes;
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

void value_fill(uint8_t *value, uint32_t bytes, uint32_t number, uint32_t version)
{
    uint64_t word = value_start(number, version);
    uint32_t at = VALUE_HEAD_BYTES;

    memcpy(value, &number, 4);
    memcpy(value + 4, &version, 4);
    for (; at + 8 <= bytes; at += 8, word += VALUE_STEP)
        memcpy(value + at, &word, 8);
    if (at < bytes)
        memcpy(value + at, &word, bytes - at);
}
