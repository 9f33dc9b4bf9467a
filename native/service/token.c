/* SPDX-License-Identifier: BSD-3-Clause */
/* Words and numbers of a command line; see token.h. */
#include "token.h"

struct token token_next(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *from = *at;
    while (from < end && *from == ' ')
        from++;
    const uint8_t *to = from;
    while (to < end && *to != ' ')
        to++;
    *at = to;
    return (struct token){.at = from, .len = (uint32_t)(to - from)};
}

bool token_is(struct token token, const char *word, uint32_t word_bytes)
{
    return token.len == word_bytes && equal_bytes(token.at, (const uint8_t *)word, word_bytes);
}

static bool is_white(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

/* Read sign and magnitude. Returns false without digits, before other text, or beyond 64 bits. */
static bool parse_number(struct token token, bool *is_negative, uint64_t *magnitude)
{
    uint32_t i = 0;
    while (i < token.len && is_white(token.at[i]))
        i++;
    *is_negative = i < token.len && token.at[i] == '-';
    if (i < token.len && (token.at[i] == '-' || token.at[i] == '+'))
        i++;
    uint32_t first = i;
    *magnitude = 0;
    for (; i < token.len && token.at[i] >= '0' && token.at[i] <= '9'; i++) {
        uint32_t digit = token.at[i] - (uint32_t)'0';
        if (__builtin_mul_overflow(*magnitude, 10, magnitude) ||
            __builtin_add_overflow(*magnitude, digit, magnitude))
            return false;
    }
    return i > first && (i == token.len || token.at[i] == 0 || is_white(token.at[i]));
}

bool token_u64(struct token token, uint64_t *number)
{
    bool is_negative;
    if (!parse_number(token, &is_negative, number))
        return false;
    if (!is_negative)
        return true;
    *number = -*number;
    return (int64_t)*number >= 0;
}

bool token_i32(struct token token, int32_t *number)
{
    bool is_negative;
    uint64_t magnitude;
    if (!parse_number(token, &is_negative, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + is_negative)
        return false;
    *number = (int32_t)(uint32_t)(is_negative ? -magnitude : magnitude);
    return true;
}
