/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Checks whether a reply is right.
 *
 * GET: the reply's key and every byte match, and the version lies between the last one acknowledged
 * before the GET was sent and the last one sent. An older version is stale. END means version 0:
 * right if nothing was acknowledged, otherwise an unexpected miss. SET: exactly STORED. echo: the
 * request, unchanged.
 */
#ifndef NEARMETAL_TG_CHECK_H
#define NEARMETAL_TG_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "format.h"

#define CHECK_TAIL 0x0a0d444e450a0dull /* "\r\nEND\r\n" */
#define CHECK_LINE_END 0x0a0du

enum verdict { VERDICT_RIGHT, VERDICT_WRONG, VERDICT_STALE, VERDICT_UNEXPECTED_MISS };

struct expected {
    uint16_t id;
    uint8_t op; /* enum op */
    uint32_t number;
    struct digits digits; /* of the number */
    uint32_t version;     /* SET: the version it wrote */
    uint32_t acked;       /* GET: last acknowledged before it was sent */
    uint32_t sent;        /* GET: last sent by now */
};

/* Check a reply without a value: the answer to a SET, or END. */
enum verdict check_short(const struct expected *expected, const uint8_t *reply, uint32_t len);

/* Versions wrap, so compare their distances from the acknowledged version. */
static inline enum verdict check_version(const struct expected *expected, uint32_t found)
{
    if (found - expected->acked <= expected->sent - expected->acked)
        return VERDICT_RIGHT;
    return (int32_t)(found - expected->acked) < 0 ? VERDICT_STALE : VERDICT_WRONG;
}

/*
 * Check a reply of a key-value store. *found: the version of a GET's well-formed value, right or
 * wrong; otherwise 0. The reply may lie in memory that the server is still writing: the version is
 * read once, and all other bytes are only compared and never used.
 */
static inline enum verdict check_kv(const struct format *format, const struct expected *expected,
                                    const uint8_t *reply, uint32_t len, uint32_t *found)
{
    const uint8_t *value = reply + format->hit_head.bytes;
    uint64_t differs, tail;
    uint32_t version;

    *found = 0;
    if (expected->op == OP_SET || len != format->hit_bytes)
        return check_short(expected, reply, len);
    differs = pattern_differs(&format->hit_head, reply, expected->id, expected->digits);
    differs |= value_differs(value, format->value_bytes, expected->number, &version);
    memcpy(&tail, reply + len - 8, 8); /* the value's last byte, and the end of the reply */
    differs |= (tail >> 8) ^ CHECK_TAIL;
    if (differs != 0 || version == 0)
        return VERDICT_WRONG;
    *found = version;
    return check_version(expected, version);
}

static inline enum verdict check_echo(const struct format *format, const struct expected *expected,
                                      const uint8_t *reply, uint32_t len)
{
    const uint8_t *value = reply + format->set_head.bytes;
    uint32_t version;
    uint64_t differs;

    if (expected->op == OP_GET)
        return len == format->get_bytes &&
                       pattern_differs(&format->get, reply, expected->id, expected->digits) == 0
                   ? VERDICT_RIGHT
                   : VERDICT_WRONG;
    if (len != format->set_bytes)
        return VERDICT_WRONG;
    differs = pattern_differs(&format->set_head, reply, expected->id, expected->digits);
    differs |= value_differs(value, format->value_bytes, expected->number, &version);
    differs |= version ^ expected->version;
    differs |= word_read_short(reply + len - 2) ^ CHECK_LINE_END;
    return differs == 0 ? VERDICT_RIGHT : VERDICT_WRONG;
}

#endif
