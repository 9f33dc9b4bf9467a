/* SPDX-License-Identifier: BSD-3-Clause */
/* A file of records in memory: made record by record, and read as the generator reads it. */
#ifndef NEARMETAL_TEST_REPLAY_BED_H
#define NEARMETAL_TEST_REPLAY_BED_H

#include <stddef.h>
#include <stdint.h>

#include "replay_file.h"

#define BED_BYTES_MAX (1u << 20)

struct bed {
    size_t nb;
    _Alignas(REPLAY_ALIGN) uint8_t bytes[BED_BYTES_MAX];
};

/* Begin a file; its records follow, those of `before` first. */
void bed_begin(struct bed *bed, uint32_t nb_before, uint32_t nb_records, uint16_t id_at,
               uint16_t id_reply_at);
void bed_add(struct bed *bed, const uint8_t *request, uint32_t request_bytes, const uint8_t *reply,
             const uint8_t *mask, uint32_t reply_bytes);

/* Write the header again, as it is in a file of bed->nb bytes. */
void bed_seal(struct bed *bed);

/* Parse a copy of exactly these bytes, so that a sanitizer sees a read past them. If it is
 * accepted, check what holds for every accepted file, and read all of its records. NULL, or why
 * not. */
const char *bed_parse(const uint8_t *bytes, size_t nb_bytes);

#endif
