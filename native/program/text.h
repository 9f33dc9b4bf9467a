/* SPDX-License-Identifier: BSD-3-Clause */
/* Text without a C library: parsing a command line, composing in a buffer. Text beyond the buffer's
 * end is cut off; the buffer always ends with a zero. */
#ifndef NEARMETAL_TEXT_H
#define NEARMETAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *at;  /* where the next byte is written; holds a zero */
    char *end; /* the last byte of the buffer */
};

/* Begin an empty text in `to`, a buffer of at least one byte. */
struct text text_in(char *to, size_t nb_bytes);

void text_put(struct text *text, const char *more);
void text_put_at_most(struct text *text, const char *more, size_t nb_bytes);
void text_number(struct text *text, uint64_t number);
void text_hex(struct text *text, uint64_t number); /* 0x1f */

/* Append ,"key":1 as in JSON, without the comma behind a `{`. */
void text_count(struct text *text, const char *key, uint64_t number);

bool text_same(const char *a, const char *b);
bool text_begins(const char *text, const char *with);
size_t text_bytes(const char *text);

/* Read a decimal number at the beginning. Returns the place behind it, or NULL where there is no
 * number or it needs more than 64 bits. */
const char *text_read_number(const char *text, uint64_t *number);

/* Whether the whole text is a decimal number of at most max. */
bool text_is_number(const char *text, uint64_t max, uint64_t *number);

/* Return the value of a hexadecimal digit; 16: not one. */
unsigned text_hex_digit(char digit);

/* Whether the whole text is an IPv4 or IPv6 address (RFC 4291, 2.2); IPv4 is stored mapped
 * (2.5.5.2). */
bool text_is_addr(const char *text, uint8_t addr[16], bool *is_v4);

/* Append an address as RFC 5952 writes it. */
void text_addr(struct text *text, const uint8_t addr[16]);

#endif
