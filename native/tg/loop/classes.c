/* SPDX-License-Identifier: BSD-3-Clause */
#include "classes.h"

#include <assert.h>
#include <string.h>

static uint32_t share_of_word(double share)
{
    double bits = share * 0x1p32;

    return bits >= UINT32_MAX ? UINT32_MAX : (uint32_t)bits;
}

/*
 * Divide the shares among nb columns of equal width: each column has a part of its own class, and
 * one other class has the rest. A column with too little is filled from a class with too much,
 * which may then have too little itself.
 */
static void columns_fill(struct classes *classes, const struct class_lengths *lengths, uint32_t nb)
{
    double left[CLASSES_MAX];
    uint32_t few[CLASSES_MAX], many[CLASSES_MAX], nb_few = 0, nb_many = 0;

    for (uint32_t i = 0; i < nb; i++) {
        left[i] = lengths[i].share * nb;
        classes->other[i] = (uint8_t)i;
        classes->below[i] = UINT32_MAX;
        if (left[i] < 1)
            few[nb_few++] = i;
        else
            many[nb_many++] = i;
    }
    while (nb_few > 0 && nb_many > 0) {
        uint32_t column = few[--nb_few], from = many[nb_many - 1];

        classes->below[column] = share_of_word(left[column]);
        classes->other[column] = (uint8_t)from;
        left[from] -= 1 - left[column];
        if (left[from] < 1) {
            nb_many--;
            few[nb_few++] = from;
        }
    }
}

bool classes_init(struct classes *classes, const struct class_lengths *lengths, uint32_t nb)
{
    assert(nb >= 1 && nb <= CLASSES_MAX);
    memset(classes, 0, sizeof(*classes));
    classes->nb = nb;
    columns_fill(classes, lengths, nb);
    for (uint32_t i = 0; i < nb; i++) {
        struct format *format = &classes->formats[i];

        if (!format_init(format, lengths[i].key_bytes, lengths[i].value_bytes))
            return false;
        classes->some_short |= format->short_keys;
        if (classes->request_bytes < format->set_bytes)
            classes->request_bytes = format->set_bytes;
        if (classes->hit_bytes < format->hit_bytes)
            classes->hit_bytes = format->hit_bytes;
    }
    return true;
}
