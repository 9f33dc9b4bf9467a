/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay_bed.h"

#include <stdlib.h>
#include <string.h>

#include "../check.h"

static void add_padded(struct bed *bed, const void *bytes, uint32_t nb, uint32_t padded)
{
    CHECK(bed->nb + padded <= sizeof(bed->bytes));
    memset(bed->bytes + bed->nb, 0, padded);
    memcpy(bed->bytes + bed->nb, bytes, nb);
    bed->nb += padded;
}

void bed_begin(struct bed *bed, uint32_t nb_before, uint32_t nb_records, uint16_t id_at,
               uint16_t id_reply_at)
{
    struct replay_header header = {.version = REPLAY_VERSION,
                                   .nb_before = nb_before,
                                   .nb_records = nb_records,
                                   .id_at = id_at,
                                   .id_reply_at = id_reply_at};

    memcpy(header.magic, REPLAY_MAGIC, sizeof(header.magic));
    bed->nb = 0;
    add_padded(bed, &header, sizeof(header), sizeof(header));
    bed_seal(bed);
}

void bed_add(struct bed *bed, const uint8_t *request, uint32_t request_bytes, const uint8_t *reply,
             const uint8_t *mask, uint32_t reply_bytes)
{
    struct replay_head head = {.request_bytes = (uint16_t)request_bytes,
                               .reply_bytes = (uint16_t)reply_bytes};
    uint8_t first[sizeof(head) + UINT16_MAX];

    memcpy(first, &head, sizeof(head));
    memcpy(first + sizeof(head), request, request_bytes);
    add_padded(bed, first, (uint32_t)sizeof(head) + request_bytes, replay_reply_at(request_bytes));
    add_padded(bed, reply, reply_bytes, replay_aligned(reply_bytes));
    add_padded(bed, mask, reply_bytes, replay_aligned(reply_bytes));
    bed_seal(bed);
}

void bed_seal(struct bed *bed)
{
    const uint64_t nb = bed->nb;

    memcpy(bed->bytes + offsetof(struct replay_header, file_bytes), &nb, sizeof(nb));
}

static void record_check(const struct replay_file *file, const uint8_t *bytes, size_t nb_bytes,
                         uint32_t i)
{
    const size_t at = (size_t)file->places[i] * REPLAY_ALIGN;
    struct replay_head head;
    uint32_t reply_at, nb_unchecked = 0;
    const uint8_t *mask;

    CHECK(at >= sizeof(struct replay_header) && at + sizeof(head) <= nb_bytes);
    memcpy(&head, bytes + at, sizeof(head));
    CHECK(head.request_bytes >= file->id_at + REPLAY_ID_BYTES);
    CHECK(head.reply_bytes >= file->id_reply_at + REPLAY_ID_BYTES);
    CHECK(head.request_bytes <= file->request_bytes && head.reply_bytes <= file->reply_bytes);
    reply_at = replay_reply_at(head.request_bytes);
    CHECK(at + reply_at + 2 * (size_t)replay_aligned(head.reply_bytes) <= nb_bytes);
    mask = bytes + at + reply_at + replay_aligned(head.reply_bytes);
    for (uint32_t byte = 0; byte < head.reply_bytes; byte++)
        nb_unchecked += mask[byte] != 0xff;
    CHECK(nb_unchecked == head.unchecked_bytes + REPLAY_ID_BYTES);
    CHECK(mask[file->id_reply_at] == 0 && mask[file->id_reply_at + 1] == 0);
}

const char *bed_parse(const uint8_t *bytes, size_t nb_bytes)
{
    uint8_t *copy = malloc(nb_bytes); /* aligned for any type: to 16 bytes */
    struct replay_file file;
    const char *why;

    CHECK(copy != NULL);
    memcpy(copy, bytes, nb_bytes);
    why = replay_file_parse(&file, copy, nb_bytes);
    if (why == NULL) {
        CHECK(file.nb_records > 0);
        CHECK(file.request_bytes <= REPLAY_DATAGRAM_BYTES_MAX);
        CHECK(file.reply_bytes <= REPLAY_DATAGRAM_BYTES_MAX);
        for (uint32_t i = 0; i < file.nb_before + file.nb_records; i++)
            record_check(&file, copy, nb_bytes, i);
    } else {
        CHECK(file.bytes == NULL && file.places == NULL);
    }
    replay_file_close(&file);
    free(copy);
    return why;
}
