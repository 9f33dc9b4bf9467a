/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The words of a command line, and the numbers among them.
 *
 * Only spaces separate words. Numbers are read as memcached reads them, with the C library's strtol
 * and strtoul: white space and a sign may come first, white space or a zero byte ends them, and a
 * number wider than its target loses its upper bits.
 */
#ifndef NEARMETAL_TOKEN_H
#define NEARMETAL_TOKEN_H

#include "bytes.h"

struct token {
    const uint8_t *at;
    uint32_t len;
};

/* Take the next word of [*at, end) and move *at behind it; len 0: there is none. */
struct token token_next(const uint8_t **at, const uint8_t *end);

bool token_is(struct token token, const char *word, uint32_t word_bytes);

/* Read like safe_strtoull: unsigned; values that look negative are refused. Flags are read with it
 * too, and cut to 32 bits. */
bool token_u64(struct token token, uint64_t *number);

/* Read like safe_strtol: a 64-bit number, cut to 32 bits. */
bool token_i32(struct token token, int32_t *number);

#endif
