/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The bytes of requests, replies, keys and values.
 *
 * A key is "nm" and its number, padded with zeros to key_bytes. A value is its key's number, a
 * version, and a pattern made from both over the rest of its length, so that no byte of it can
 * change, and no two values can be mixed, unnoticed.
 */
#ifndef NEARMETAL_TG_FORMAT_H
#define NEARMETAL_TG_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

#define FRAME_BYTES 8u
#define KEY_BYTES_MIN 12u /* "nm" and 10 digits: any 32-bit number */
#define KEY_BYTES_MAX 250u
#define VALUE_BYTES_MIN 16u
/* Most bytes of a reply, frame included: longer ones come in several datagrams. */
#define REPLY_BYTES_MAX 1400u
#define FORMAT_HEAD_BYTES_MAX 320u /* frame, word, key and numbers */

enum op { OP_GET, OP_SET };

struct format {
    uint32_t key_bytes, value_bytes;
    uint32_t get_bytes, set_bytes;           /* whole requests */
    uint32_t hit_bytes;                      /* whole reply to a GET that found something */
    uint32_t set_head_bytes, hit_head_bytes; /* up to the value */
    uint8_t get[FORMAT_HEAD_BYTES_MAX];      /* templates, the key's number being 0 */
    uint8_t set_head[FORMAT_HEAD_BYTES_MAX];
    uint8_t hit_head[FORMAT_HEAD_BYTES_MAX];
};

/* False when a reply would not fit one datagram, or a size is out of range. */
bool format_init(struct format *format, uint32_t key_bytes, uint32_t value_bytes);

/* Write a whole request; room holds format->set_bytes. Returns its length. version: of a SET. */
uint32_t format_request(const struct format *format, uint8_t *room, uint16_t id, enum op op,
                        uint32_t number, uint32_t version);

/* Write what answers a GET of `number` up to the value, frame included. Returns its length. */
uint32_t format_hit_head(const struct format *format, uint8_t *room, uint16_t id, uint32_t number);

/* True, and *number set, where bytes are a key of ours. */
bool format_parse_key(const uint8_t *key, uint32_t bytes, uint32_t *number);

void value_fill(uint8_t *value, uint32_t bytes, uint32_t number, uint32_t version);

/* True when every byte is what value_fill writes for `number` and some version: that one. */
bool value_matches(const uint8_t *value, uint32_t bytes, uint32_t number, uint32_t *version);

#endif
