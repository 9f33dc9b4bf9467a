/* SPDX-License-Identifier: BSD-3-Clause */
#include "check.h"

#include <string.h>

/* Compare a whole reply. Its frame has the id, sequence 0, total 1, reserved 0. */
static bool is_exactly(const struct expected *expected, const uint8_t *reply, uint32_t len,
                       const char *text, uint32_t text_bytes)
{
    uint8_t frame[FRAME_BYTES] = {(uint8_t)(expected->id >> 8), (uint8_t)expected->id, 0, 0, 0, 1};

    return len == FRAME_BYTES + text_bytes && memcmp(reply, frame, FRAME_BYTES) == 0 &&
           memcmp(reply + FRAME_BYTES, text, text_bytes) == 0;
}

enum verdict check_short(const struct expected *expected, const uint8_t *reply, uint32_t len)
{
    if (expected->op == OP_SET)
        return is_exactly(expected, reply, len, "STORED\r\n", 8) ? VERDICT_RIGHT : VERDICT_WRONG;
    if (!is_exactly(expected, reply, len, "END\r\n", 5))
        return VERDICT_WRONG;
    return expected->acked == 0 ? VERDICT_RIGHT : VERDICT_UNEXPECTED_MISS;
}
