/* SPDX-License-Identifier: BSD-3-Clause */
/* The names that a data process gives its tender: only printable, short names are accepted,
 * and those of files are made printable. */
#include <string.h>

#include "../check.h"
#include "names.h"

static const struct service_words sound = {
    .name = "kv", .counters = {"items", "get_hits", "a2345678901234"}, .drops = {"total"}};

/* Whether the names are accepted after these bytes replace the beginning of one. */
static bool is_taken(size_t at, const char *bytes, size_t nb)
{
    struct service_words words = sound;

    memcpy((char *)&words + at, bytes, nb);
    return names_are_sound("netdev", &words);
}

static void names_of_files_can_be_printed(void)
{
    struct service_fault faults[SERVICE_FAULTS_MAX] = {
        {.file = "hello.py"}, {.file = "a b/~.py"}, {.file = "a\"b\\\n\x7f\x80\xff"}};

    memset(faults[SERVICE_FAULTS_MAX - 1].file, 'x', SERVICE_FILE_BYTES); /* no end */
    names_make_printable(faults);
    CHECK(strcmp(faults[0].file, "hello.py") == 0 && strcmp(faults[1].file, "a b/~.py") == 0);
    CHECK(strcmp(faults[2].file, "a?b?????") == 0);
    CHECK(strlen(faults[SERVICE_FAULTS_MAX - 1].file) == SERVICE_FILE_BYTES - 1);
}

int main(void)
{
    static const char *const bad[] = {"K", "a\"b", "a b", "a\nb", "a-b", "\x80", "\x01"};
    const size_t places[] = {offsetof(struct service_words, name),
                             offsetof(struct service_words, counters),
                             sizeof(struct service_words) - SERVICE_NAME_BYTES};

    CHECK(names_are_sound("netdev", &sound));
    CHECK(!names_are_sound("net dev", &sound) && !names_are_sound("aaaaaaaaaaaaaaaa", &sound));
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        CHECK(is_taken(places[i], "a_0", 4) && is_taken(places[i], "", 1));
        for (size_t j = 0; j < sizeof bad / sizeof bad[0]; j++)
            CHECK(!is_taken(places[i], bad[j], strlen(bad[j]) + 1));
        CHECK(is_taken(places[i], "aaaaaaaaaaaaaaa", SERVICE_NAME_BYTES));
        CHECK(!is_taken(places[i], "aaaaaaaaaaaaaaaa", SERVICE_NAME_BYTES)); /* no end */
        /* Bytes behind the end are not printed, so any are accepted. */
        CHECK(is_taken(places[i], "a\0\"", 4));
    }
    names_of_files_can_be_printed();
    return 0;
}
