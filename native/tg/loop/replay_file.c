/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "table.h"

#define SAID_BYTES 4400u /* a path has up to 4,096 */
/* The shortest record: head with request, reply, mask. */
#define RECORD_BYTES_MIN (3 * REPLAY_ALIGN)

/* A sentence may quote the one before. */
static __attribute__((format(printf, 1, 2))) const char *say(const char *form, ...)
{
    static char both[2][SAID_BYTES];
    static unsigned turn;
    char *said = both[turn++ % 2];
    va_list words;

    va_start(words, form);
    vsnprintf(said, SAID_BYTES, form, words);
    va_end(words);
    return said;
}

static bool is_zero(const uint8_t *bytes, uint32_t begin, uint32_t end)
{
    for (; begin < end; begin++)
        if (bytes[begin] != 0)
            return false;
    return true;
}

static const char *header_check(const struct replay_header *header, size_t nb_bytes)
{
    uint64_t nb = (uint64_t)header->nb_before + header->nb_records;

    if (memcmp(header->magic, REPLAY_MAGIC, sizeof(header->magic)) != 0)
        return "is no file of records";
    if (header->version != REPLAY_VERSION)
        return say("is a file of records of version %u, not %u; make it again", header->version,
                   REPLAY_VERSION);
    if (header->file_bytes != nb_bytes)
        return say("has %zu bytes, not %llu: it was cut or extended; make it again", nb_bytes,
                   (unsigned long long)header->file_bytes);
    if (header->nb_records == 0)
        return "has no records of the mix";
    if (nb > (nb_bytes - sizeof(*header)) / RECORD_BYTES_MIN)
        return say("is too short for %llu records; make it again", (unsigned long long)nb);
    return NULL;
}

static bool length_is_good(uint32_t bytes, uint32_t id_at)
{
    return bytes <= REPLAY_DATAGRAM_BYTES_MAX && id_at + REPLAY_ID_BYTES <= bytes;
}

/* Clear the mask at the id, and count the bytes that are not compared completely. */
static uint16_t mask_prepare(uint8_t *mask, uint32_t bytes, uint32_t id_at)
{
    uint16_t nb = 0;

    memset(mask + id_at, 0, REPLAY_ID_BYTES);
    for (uint32_t i = 0; i < bytes; i++)
        nb = (uint16_t)(nb + (mask[i] != 0xff));
    return (uint16_t)(nb - REPLAY_ID_BYTES);
}

/* Check the record at `bytes`, of which nb_bytes are left. Sets *record_bytes. */
static const char *record_take(struct replay_file *file, uint8_t *bytes, size_t nb_bytes,
                               uint32_t *record_bytes)
{
    struct replay_head head;
    uint32_t reply_at, mask_at, end;

    if (nb_bytes < sizeof(head))
        return "begins behind the end of the file";
    memcpy(&head, bytes, sizeof(head));
    if (!length_is_good(head.request_bytes, file->id_at))
        return "its request is too long, or too short to have an id";
    if (!length_is_good(head.reply_bytes, file->id_reply_at))
        return "its reply is too long, or too short to have an id";
    reply_at = replay_reply_at(head.request_bytes);
    mask_at = reply_at + replay_aligned(head.reply_bytes);
    end = mask_at + replay_aligned(head.reply_bytes);
    if (end > nb_bytes)
        return "ends behind the end of the file";
    if (head.unchecked_bytes != 0 || head.zero != 0 ||
        !is_zero(bytes, (uint32_t)sizeof(head) + head.request_bytes, reply_at) ||
        !is_zero(bytes, reply_at + head.reply_bytes, mask_at) ||
        !is_zero(bytes, mask_at + head.reply_bytes, end))
        return "has bytes between its parts that are not zero";
    head.unchecked_bytes = mask_prepare(bytes + mask_at, head.reply_bytes, file->id_reply_at);
    memcpy(bytes, &head, sizeof(head));
    if (file->request_bytes < head.request_bytes)
        file->request_bytes = head.request_bytes;
    if (file->reply_bytes < head.reply_bytes)
        file->reply_bytes = head.reply_bytes;
    *record_bytes = end;
    return NULL;
}

/* The records of `before` are first in the file, and last in `places`. */
static uint32_t place_of(const struct replay_file *file, uint32_t i)
{
    return i < file->nb_before ? file->nb_records + i : i - file->nb_before;
}

static const char *records_take(struct replay_file *file, uint8_t *bytes, size_t nb_bytes)
{
    size_t at = sizeof(struct replay_header);
    const char *why;
    uint32_t len;

    for (uint32_t i = 0; i < file->nb_before + file->nb_records; i++, at += len) {
        why = record_take(file, bytes + at, nb_bytes - at, &len);
        if (why != NULL)
            return say("record %u of the file: %s; make the file again", i, why);
        file->places[place_of(file, i)] = (uint32_t)(at / REPLAY_ALIGN);
    }
    return at == nb_bytes ? NULL : "has bytes behind its last record; make it again";
}

const char *replay_file_parse(struct replay_file *file, uint8_t *bytes, size_t nb_bytes)
{
    struct replay_header header;
    const char *why;

    *file = (struct replay_file){0};
    if (nb_bytes < sizeof(header))
        return "is no file of records: it is too short";
    memcpy(&header, bytes, sizeof(header));
    why = header_check(&header, nb_bytes);
    if (why != NULL)
        return why;
    file->nb_before = header.nb_before;
    file->nb_records = header.nb_records;
    file->id_at = header.id_at;
    file->id_reply_at = header.id_reply_at;
    file->places = calloc((size_t)header.nb_before + header.nb_records, sizeof(*file->places));
    if (file->places == NULL)
        return "out of memory";
    why = records_take(file, bytes, nb_bytes);
    if (why == NULL)
        file->bytes = bytes;
    else
        replay_file_close(file);
    return why;
}

/* Read exactly nb_bytes. NULL, or why not. */
static const char *file_read(int fd, uint8_t *bytes, size_t nb_bytes)
{
    for (size_t at = 0; at < nb_bytes;) {
        ssize_t nb = read(fd, bytes + at, nb_bytes - at);

        if (nb == 0)
            return "was cut while it was read; make it again";
        if (nb > 0)
            at += (size_t)nb;
        else if (errno != EINTR)
            return strerror(errno);
    }
    return NULL;
}

/* Read and check what is open. *nb_bytes: what was allocated at *bytes. */
static const char *fd_take(struct replay_file *file, int fd, uint8_t **bytes, size_t *nb_bytes)
{
    struct stat stat;
    const char *why;

    if (fstat(fd, &stat) != 0)
        return strerror(errno);
    if (!S_ISREG(stat.st_mode))
        return "is no regular file";
    if (stat.st_size == 0)
        return "is no file of records: it is empty";
    if (stat.st_size > REPLAY_FILE_BYTES_MAX)
        return "is longer than 1 GiB; give fewer records";
    *nb_bytes = (size_t)stat.st_size;
    *bytes = table_open(*nb_bytes);
    if (*bytes == NULL)
        return "out of memory; give fewer records";
    why = file_read(fd, *bytes, *nb_bytes);
    return why == NULL ? replay_file_parse(file, *bytes, *nb_bytes) : why;
}

const char *replay_file_open(struct replay_file *file, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO would block */
    uint8_t *bytes = NULL;
    size_t nb_bytes = 0;
    const char *why;

    if (fd < 0)
        return say("%s: %s", path, strerror(errno));
    why = fd_take(file, fd, &bytes, &nb_bytes);
    close(fd);
    if (why == NULL) {
        file->nb_bytes = nb_bytes;
        return NULL;
    }
    table_close(bytes, nb_bytes);
    return say("%s: %s", path, why);
}

void replay_file_close(struct replay_file *file)
{
    free(file->places);
    if (file->nb_bytes > 0)
        table_close(file->bytes, file->nb_bytes);
    *file = (struct replay_file){0};
}
