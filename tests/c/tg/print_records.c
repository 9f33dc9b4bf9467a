/* SPDX-License-Identifier: BSD-3-Clause */
/* Print a file of records as the generator reads it: a line of places and numbers of records, then
 * one line each, first those of the mix: request, reply and mask in hexadecimal digits. */
#include <stdio.h>
#include <string.h>

#include "replay_file.h"

static void print(const uint8_t *bytes, uint32_t nb, char end)
{
    for (uint32_t i = 0; i < nb; i++)
        printf("%02x", bytes[i]);
    putchar(end);
}

int main(int argc, char **argv)
{
    struct replay_file file;
    const char *why = argc == 2 ? replay_file_open(&file, argv[1]) : "give a path";

    if (why != NULL) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    printf("%u %u %u %u\n", file.id_at, file.id_reply_at, file.nb_before, file.nb_records);
    for (uint32_t i = 0; i < file.nb_before + file.nb_records; i++) {
        const uint8_t *record = file.bytes + (size_t)file.places[i] * REPLAY_ALIGN, *reply;
        struct replay_head head;

        memcpy(&head, record, sizeof(head));
        reply = record + replay_reply_at(head.request_bytes);
        print(record + sizeof(head), head.request_bytes, ' ');
        print(reply, head.reply_bytes, ' ');
        print(reply + replay_aligned(head.reply_bytes), head.reply_bytes, '\n');
    }
    replay_file_close(&file);
    return 0;
}
