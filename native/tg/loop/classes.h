/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Classes of keys: the lengths of a key and of its value are those of its class, and the class is a
 * function of the key's number. So no slot and no table of keys stores a length. The function is an
 * alias table (Walker; Vose 1991) behind a hash of the number: a class has its share of the keys,
 * popular or not.
 */
#ifndef NEARMETAL_TG_CLASSES_H
#define NEARMETAL_TG_CLASSES_H

#include <stdbool.h>
#include <stdint.h>

#include "format.h"

#define CLASSES_MAX 16u

struct class_lengths {
    uint32_t key_bytes, value_bytes;
    double share; /* of the keys; the shares of all classes add up to 1 */
};

struct classes {
    uint32_t nb;
    bool some_short;                    /* the keys of a class are short (format.h) */
    uint32_t request_bytes, hit_bytes;  /* the longest of all classes */
    uint32_t below[CLASSES_MAX];        /* of 2^32: a column's own share */
    uint8_t other[CLASSES_MAX];         /* the class of the rest of a column */
    struct format formats[CLASSES_MAX]; /* a column's own class has the column's number */
};

/* lengths[0..nb), 1 <= nb <= CLASSES_MAX. False: a reply of a class would not fit one datagram, or
 * a length is out of range. */
bool classes_init(struct classes *classes, const struct class_lengths *lengths, uint32_t nb);

/* The class of a key. */
static inline uint32_t classes_find(const struct classes *classes, uint32_t number)
{
    uint64_t x = number * 0x9e3779b97f4a7c15u;
    uint32_t column;

    x = (x ^ (x >> 32)) * 0xbf58476d1ce4e5b9u;
    x ^= x >> 32;
    column = (uint32_t)((x >> 32) * classes->nb >> 32);
    return (uint32_t)x < classes->below[column] ? column : classes->other[column];
}

#endif
