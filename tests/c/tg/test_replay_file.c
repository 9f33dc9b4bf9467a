/* SPDX-License-Identifier: BSD-3-Clause */
/* The parser of files of records: what is accepted, and that every damaged file is refused or still
 * safe to use. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../check.h"
#include "random.h"
#include "replay_bed.h"

static struct bed good, bad;

static void good_make(void)
{
    static const uint8_t request[40] = "IDrequest", reply[24] = "..IDreply";
    uint8_t mask[24];

    memset(mask, 0xff, sizeof(mask));
    mask[7] = 0;
    mask[8] = 0x7f;
    bed_begin(&good, 1, 3, 0, 2);
    bed_add(&good, request, 2, reply, mask, 4);
    bed_add(&good, request, 8, reply, mask, 16);
    bed_add(&good, request, 40, reply, mask, 24);
    bed_add(&good, request, 9, reply, mask, 17);
}

/* Whether a sentence about the file contains this. */
static bool says(const char *why, const char *part)
{
    if (why == NULL || strstr(why, part) == NULL) {
        fprintf(stderr, "said: %s\n", why == NULL ? "nothing" : why);
        return false;
    }
    return true;
}

static void a_good_file_is_taken(void)
{
    static struct bed copy;
    struct replay_file file;
    struct replay_head head;

    memcpy(&copy, &good, sizeof(copy));
    CHECK(replay_file_parse(&file, copy.bytes, copy.nb) == NULL);
    CHECK(file.nb_before == 1 && file.nb_records == 3 && file.id_at == 0 && file.id_reply_at == 2);
    CHECK(file.request_bytes == 40 && file.reply_bytes == 24);
    CHECK(file.places[3] == 2); /* `before` is first in the file */
    memcpy(&head, copy.bytes + (size_t)file.places[0] * REPLAY_ALIGN, sizeof(head));
    CHECK(head.request_bytes == 8 && head.reply_bytes == 16 && head.unchecked_bytes == 2);
    memcpy(&head, copy.bytes + (size_t)file.places[3] * REPLAY_ALIGN, sizeof(head));
    CHECK(head.request_bytes == 2 && head.reply_bytes == 4 && head.unchecked_bytes == 0);
    replay_file_close(&file);
    CHECK(bed_parse(good.bytes, good.nb) == NULL);
}

/* Change one number of the header. */
static const char *with_header(size_t at, uint64_t value, size_t bytes)
{
    memcpy(&bad, &good, sizeof(bad));
    memcpy(bad.bytes + at, &value, bytes);
    return bed_parse(bad.bytes, bad.nb);
}

#define AT(field) offsetof(struct replay_header, field)

static void a_wrong_header_is_refused(void)
{
    CHECK(says(with_header(AT(magic), 'N', 1), "is no file of records"));
    CHECK(says(with_header(AT(version), 2, 4), "version 2, not 1"));
    CHECK(says(with_header(AT(file_bytes), good.nb + 1, 8), "was cut or extended"));
    CHECK(says(with_header(AT(nb_records), 0, 4), "no records of the mix"));
    CHECK(says(with_header(AT(nb_records), 4, 4), "record 4 of the file: begins behind the end"));
    CHECK(says(with_header(AT(nb_records), 2, 4), "behind its last record"));
    CHECK(says(with_header(AT(nb_records), UINT32_MAX, 4), "too short for 4294967296 records"));
    CHECK(says(with_header(AT(nb_before), UINT32_MAX, 4), "too short for 4294967298 records"));
    CHECK(says(with_header(AT(id_at), 1, 2), "record 0 of the file: its request"));
    CHECK(says(with_header(AT(id_at), UINT16_MAX, 2), "record 0 of the file: its request"));
    CHECK(says(with_header(AT(id_reply_at), 3, 2), "record 0 of the file: its reply"));
    CHECK(says(with_header(AT(id_reply_at), UINT16_MAX, 2), "record 0 of the file: its reply"));
}

/* Change one byte of the second record: head (8), request (8), reply (16), mask (16). */
static const char *with_byte(size_t at, uint8_t value)
{
    memcpy(&bad, &good, sizeof(bad));
    bad.bytes[sizeof(struct replay_header) + 3 * REPLAY_ALIGN + at] = value;
    return bed_parse(bad.bytes, bad.nb);
}

static void a_wrong_record_is_refused(void)
{
    CHECK(says(with_byte(0, 1), "record 1 of the file: its request"));
    CHECK(says(with_byte(1, 0xff), "record 1 of the file: its request"));
    CHECK(says(with_byte(2, 3), "record 1 of the file: its reply"));
    CHECK(says(with_byte(3, 0xff), "record 1 of the file: its reply"));
    CHECK(says(with_byte(3, 4), "record 1 of the file: ends behind the end"));
    CHECK(says(with_byte(4, 1), "not zero") && says(with_byte(7, 1), "not zero"));
    CHECK(says(with_byte(0, 7), "not zero") && says(with_byte(2, 15), "not zero"));
    CHECK(with_byte(8, 'x') == NULL && with_byte(16, 'x') == NULL && with_byte(32, 'x') == NULL);
}

static void a_cut_file_is_refused(void)
{
    for (size_t nb = 0; nb < good.nb; nb++) {
        memcpy(&bad, &good, sizeof(bad));
        bad.nb = nb;
        CHECK(bed_parse(bad.bytes, nb) != NULL);
        if (nb < sizeof(struct replay_header))
            continue;
        bed_seal(&bad); /* the header knows: then the records do not fit */
        CHECK(bed_parse(bad.bytes, nb) != NULL);
    }
}

/* bed_parse checks that each file that is accepted is safe. */
static void any_damage_is_harmless(void)
{
    struct random random = {.state = 1};

    for (unsigned i = 0; i < 200000; i++) {
        uint64_t bits = random_next(&random);

        memcpy(bad.bytes, good.bytes, good.nb);
        bad.nb = good.nb;
        for (unsigned n = 1 + bits % 3; n > 0; n--) {
            bits = random_next(&random);
            bad.bytes[8 + random_scale((uint32_t)bits, (uint32_t)good.nb - 8)] =
                (uint8_t)(bits >> 40);
        }
        if (bits >> 63)
            bed_seal(&bad);
        (void)bed_parse(bad.bytes, bad.nb);
    }
}

static void file_write(const char *path, const struct bed *bed)
{
    FILE *file = fopen(path, "w");

    CHECK(file != NULL && fwrite(bed->bytes, 1, bed->nb, file) == bed->nb && fclose(file) == 0);
}

/* More than a large page. */
static void large_make(void)
{
    static uint8_t bytes[REPLAY_DATAGRAM_BYTES_MAX];

    bed_begin(&bad, 0, 200, 0, 0);
    for (unsigned i = 0; i < 200; i++)
        bed_add(&bad, bytes, sizeof(bytes), bytes, bytes, sizeof(bytes));
}

static void a_path_is_read_or_refused(void)
{
    char folder[32], path[64];
    struct replay_file file = {0};

    snprintf(folder, sizeof(folder), "/tmp/replay-%d", (int)getpid());
    CHECK(mkdir(folder, 0700) == 0);
    snprintf(path, sizeof(path), "%s/records", folder);
    CHECK(says(replay_file_open(&file, path), "No such file"));
    CHECK(says(replay_file_open(&file, folder), "is no regular file"));
    CHECK(mkfifo(path, 0600) == 0);
    CHECK(says(replay_file_open(&file, path), "is no regular file"));
    CHECK(unlink(path) == 0);
    bad.nb = 0;
    file_write(path, &bad);
    CHECK(says(replay_file_open(&file, path), "is empty"));
    CHECK(truncate(path, (off_t)REPLAY_FILE_BYTES_MAX + 1) == 0); /* a hole: no disk is used */
    CHECK(says(replay_file_open(&file, path), "longer than 1 GiB"));
    bad.nb = 31;
    file_write(path, &bad);
    CHECK(says(replay_file_open(&file, path), "too short"));
    file_write(path, &good);
    CHECK(replay_file_open(&file, path) == NULL && file.nb_records == 3);
    CHECK(truncate(path, 0) == 0); /* does no harm */
    CHECK(memcmp(file.bytes, REPLAY_MAGIC, 8) == 0 && file.bytes[good.nb - 1] == 0);
    replay_file_close(&file);
    large_make();
    file_write(path, &bad);
    CHECK(replay_file_open(&file, path) == NULL && file.nb_records == 200);
    replay_file_close(&file);
    CHECK(unlink(path) == 0 && rmdir(folder) == 0);
}

int main(void)
{
    good_make();
    a_good_file_is_taken();
    a_wrong_header_is_refused();
    a_wrong_record_is_refused();
    a_cut_file_is_refused();
    any_damage_is_harmless();
    a_path_is_read_or_refused();
    return 0;
}
