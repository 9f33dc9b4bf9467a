/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The words of a command line, and the numbers among them.
 *
 * Words are parted by spaces alone. Numbers are read as memcached reads them, with the C library's
 * strtol and strtoul: white space and a sign may come first, white space or a zero byte ends them,
 * and what is wider than its target loses its upper bits.
 */
#ifndef NEARMETAL_TOKEN_H
#define NEARMETAL_TOKEN_H

#include "bytes.h"

struct token {
    const uint8_t *at;
    uint32_t len;
};

/* The next word of [*at, end), which is moved behind it; len 0: there is none. */
struct token token_next(const uint8_t **at, const uint8_t *end);

bool token_is(struct token token, const char *word, uint32_t word_bytes);

/* As safe_strtoull (and, cut to 32 bits, the flags): unsigned, no result that looks negative. */
bool token_u64(struct token token, uint64_t *number);

/* As safe_strtol: a 64-bit number, cut to 32 bits. */
bool token_i32(struct token token, int32_t *number);

#endif
