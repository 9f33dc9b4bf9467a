/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Text without a C library: read in a command line, built in a buffer. What does not fit a buffer
 * is left out, and the buffer ends with a zero all the same.
 */
#ifndef NEARMETAL_TEXT_H
#define NEARMETAL_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
    char *at;  /* where the next byte goes; a zero is there */
    char *end; /* the last byte of the buffer */
};

/* An empty text in `to`, of at least one byte. */
struct text text_in(char *to, size_t nb_bytes);

void text_put(struct text *text, const char *more);
void text_put_at_most(struct text *text, const char *more, size_t nb_bytes);
void text_number(struct text *text, uint64_t number);
void text_hex(struct text *text, uint64_t number); /* 0x1f */

/* ,"key":1 as in JSON; the comma unless the text's last byte opens an object. */
void text_count(struct text *text, const char *key, uint64_t number);

bool text_same(const char *a, const char *b);
bool text_begins(const char *text, const char *with);
size_t text_bytes(const char *text);

/* A decimal number at the beginning: what stands behind it, or NULL where there is none, or none of
 * 64 bits. */
const char *text_read_number(const char *text, uint64_t *number);

/* A whole decimal number with nothing behind it. */
bool text_is_number(const char *text, uint64_t max, uint64_t *number);

/* Value of a hexadecimal digit; 16: it is none. */
unsigned text_hex_digit(char digit);

/* An IPv4 or IPv6 address with nothing behind it, IPv4 mapped (RFC 4291, 2.2 and 2.5.5.2). */
bool text_is_addr(const char *text, uint8_t addr[16], bool *is_v4);

/* In the form of RFC 5952. */
void text_addr(struct text *text, const uint8_t addr[16]);

#endif
