/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A file of records: requests whose replies are known. This is its definition; the writer is
 * src/nearmetal/service/records.py.
 *
 *     header, 32 bytes
 *     the records of `before`: asked once, one after another, before all others
 *     the records of the mix: asked in random order
 *
 * All numbers are little endian. A record consists of
 *
 *     head, 8 bytes     lengths of request and reply, and four zero bytes
 *     request
 *     zeros             up to a multiple of 16 bytes from the record's begin
 *     reply, zeros      the same
 *     mask, zeros       as long as the reply: a bit of the reply is compared if it is set here
 *
 * so every record, reply and mask begins at a multiple of 16. A request has an id of two bytes,
 * most significant byte first, at id_at; its reply repeats it at id_reply_at. The bytes of both ids
 * in the file mean nothing.
 *
 * The file is read into memory of this program and checked completely there, instead of being
 * mapped: so another process that changes or cuts the file later does no harm, and large files are
 * in large pages. Meanwhile the head gets the number of bytes of the reply that are not compared,
 * and the mask is cleared at the id, which was compared when the request was found by it.
 */
#ifndef NEARMETAL_TG_REPLAY_FILE_H
#define NEARMETAL_TG_REPLAY_FILE_H

#include <stddef.h>
#include <stdint.h>

#define REPLAY_MAGIC "nmreplay"
#define REPLAY_VERSION 1u
#define REPLAY_ALIGN 16u
#define REPLAY_ID_BYTES 2u
#define REPLAY_DATAGRAM_BYTES_MAX 1472u /* one frame of 1,500 bytes of IP */
#define REPLAY_FILE_BYTES_MAX (1u << 30)

struct replay_header {
    uint8_t magic[8]; /* REPLAY_MAGIC without a terminating zero */
    uint32_t version;
    uint32_t nb_before;  /* records of `before` */
    uint32_t nb_records; /* records of the mix, at least 1 */
    uint16_t id_at, id_reply_at;
    uint64_t file_bytes; /* of the whole file: shows that it was cut */
};
_Static_assert(sizeof(struct replay_header) == 32, "a file's layout");
_Static_assert(offsetof(struct replay_header, file_bytes) == 24, "a file's layout");

struct replay_head {
    uint16_t request_bytes, reply_bytes; /* REPLAY_ID_BYTES..REPLAY_DATAGRAM_BYTES_MAX */
    uint16_t unchecked_bytes;            /* in the file 0 */
    uint16_t zero;
};
_Static_assert(sizeof(struct replay_head) == 8, "a file's layout");

struct replay_file {
    uint8_t *bytes;   /* the whole file */
    size_t nb_bytes;  /* that are allocated */
    uint32_t *places; /* of each record, in units of REPLAY_ALIGN: the mix, then `before` */
    uint32_t nb_before, nb_records;
    uint32_t request_bytes, reply_bytes; /* the longest */
    uint16_t id_at, id_reply_at;
};

/* Read and check a file. NULL, or one sentence that begins with the path. */
const char *replay_file_open(struct replay_file *file, const char *path);

/* The same for the bytes of a file, which this changes: nb_bytes, aligned to REPLAY_ALIGN. The
 * caller keeps them, also while `file` is used. NULL, or one sentence. */
const char *replay_file_parse(struct replay_file *file, uint8_t *bytes, size_t nb_bytes);

/* Accepts a file that was not opened, if it is all zero. */
void replay_file_close(struct replay_file *file);

static inline uint32_t replay_aligned(uint32_t bytes)
{
    return (bytes + REPLAY_ALIGN - 1) & ~(REPLAY_ALIGN - 1);
}

/* Where the reply begins, from the begin of its record. */
static inline uint32_t replay_reply_at(uint32_t request_bytes)
{
    return replay_aligned((uint32_t)sizeof(struct replay_head) + request_bytes);
}

#endif
