/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is this reply right?
 *
 * GET: the reply's key and every byte match, and the version lies between the one last acknowledged
 * before the GET left and the one last sent. An older one is stale. END is version 0: right where
 * nothing was acknowledged, else an unexpected miss. SET: exactly STORED. echo: the request again.
 */
#ifndef NEARMETAL_TG_CHECK_H
#define NEARMETAL_TG_CHECK_H

#include <stdbool.h>
#include <stdint.h>

#include "format.h"

enum verdict { VERDICT_RIGHT, VERDICT_WRONG, VERDICT_STALE, VERDICT_UNEXPECTED_MISS };

struct expected {
    uint16_t id;
    uint8_t op; /* enum op */
    uint32_t number;
    uint32_t version; /* SET: the version it wrote */
    uint32_t acked;   /* GET: last acknowledged before it left */
    uint32_t sent;    /* GET: last sent, now */
};

/* *found: the version of a GET's well-formed value, right or not; else 0. */
enum verdict check_kv(const struct format *format, const struct expected *expected,
                      const uint8_t *reply, uint32_t len, uint32_t *found);

enum verdict check_echo(const struct format *format, const struct expected *expected,
                        const uint8_t *reply, uint32_t len);

#endif
