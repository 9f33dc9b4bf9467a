/* SPDX-License-Identifier: BSD-3-Clause */
#include "check.h"

#include <string.h>

/* Behind the id, a reply's frame says sequence 0, total 1, reserved 0. */
static bool is_exactly(const struct expected *expected, const uint8_t *reply, uint32_t len,
                       const char *text, uint32_t text_bytes)
{
    uint8_t frame[FRAME_BYTES] = {(uint8_t)(expected->id >> 8), (uint8_t)expected->id, 0, 0, 0, 1};

    return len == FRAME_BYTES + text_bytes && memcmp(reply, frame, FRAME_BYTES) == 0 &&
           memcmp(reply + FRAME_BYTES, text, text_bytes) == 0;
}

/* Versions wrap, so they are compared by their distance from the acknowledged one. */
static enum verdict version_verdict(const struct expected *expected, uint32_t found)
{
    if (found - expected->acked <= expected->sent - expected->acked)
        return VERDICT_RIGHT;
    return (int32_t)(found - expected->acked) < 0 ? VERDICT_STALE : VERDICT_WRONG;
}

enum verdict check_kv(const struct format *format, const struct expected *expected,
                      const uint8_t *reply, uint32_t len, uint32_t *found)
{
    uint8_t head[FORMAT_HEAD_BYTES_MAX];
    uint32_t head_bytes, version;

    *found = 0;
    if (expected->op == OP_SET)
        return is_exactly(expected, reply, len, "STORED\r\n", 8) ? VERDICT_RIGHT : VERDICT_WRONG;
    if (len != format->hit_bytes) {
        if (!is_exactly(expected, reply, len, "END\r\n", 5))
            return VERDICT_WRONG;
        return expected->acked == 0 ? VERDICT_RIGHT : VERDICT_UNEXPECTED_MISS;
    }
    head_bytes = format_hit_head(format, head, expected->id, expected->number);
    if (memcmp(reply, head, head_bytes) != 0 ||
        memcmp(reply + head_bytes + format->value_bytes, "\r\nEND\r\n", 7) != 0 ||
        !value_matches(reply + head_bytes, format->value_bytes, expected->number, &version) ||
        version == 0)
        return VERDICT_WRONG;
    *found = version;
    return version_verdict(expected, version);
}

enum verdict check_echo(const struct format *format, const struct expected *expected,
                        const uint8_t *reply, uint32_t len)
{
    uint8_t request[FORMAT_HEAD_BYTES_MAX + REPLY_BYTES_MAX + 2];
    uint32_t bytes = format_request(format, request, expected->id, (enum op)expected->op,
                                    expected->number, expected->version);

    return len == bytes && memcmp(reply, request, bytes) == 0 ? VERDICT_RIGHT : VERDICT_WRONG;
}
