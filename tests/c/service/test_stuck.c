/* SPDX-License-Identifier: BSD-3-Clause */
/* The rule by which a user's function counts as stuck, and its sentence (program/stuck.h). */
#include <string.h>

#include "../check.h"
#include "stuck.h"

#define TICK STUCK_TICK_NS

static struct watch_mark mark;
static const uint8_t request[16] = {0x00, 0x01, 0xab, 0x6c, 5, 6, 7, 0xff, 9};

static void time_in_one_call_counts(void)
{
    struct stuck stuck = {0};

    CHECK(!stuck_look(&stuck, &mark, TICK)); /* in no function, for any time */
    CHECK(!stuck_look(&stuck, &mark, 100 * TICK));
    watch_enter(&mark, WATCH_TURN | 9, request);
    CHECK(!stuck_look(&stuck, &mark, 101 * TICK));
    CHECK(!stuck_look(&stuck, &mark, 103 * TICK));
    CHECK(stuck_look(&stuck, &mark, 104 * TICK));
    CHECK(stuck_look(&stuck, &mark, 104 * TICK)); /* it stays so */
    watch_enter(&mark, 2 * WATCH_TURN | 9, request);
    CHECK(!stuck_look(&stuck, &mark, 105 * TICK)); /* the same request again is another call */
    watch_leave(&mark);
    CHECK(!stuck_look(&stuck, &mark, 200 * TICK));
}

/* Any number of looks without time spent: a program that is stopped. */
static void looks_alone_do_not_count(void)
{
    struct stuck stuck = {0};

    watch_enter(&mark, 3 * WATCH_TURN | 9, request);
    for (unsigned i = 0; i < 1000; i++)
        CHECK(!stuck_look(&stuck, &mark, 7 * TICK));
    CHECK(!stuck_look(&stuck, &mark, 0)); /* it has ended: its time is not known any more */
    watch_leave(&mark);
}

static void many_calls_do_not_count(void)
{
    struct stuck stuck = {0};

    for (unsigned i = 1; i < 1000; i++) {
        watch_enter(&mark, i * WATCH_TURN | 9, request);
        CHECK(!stuck_look(&stuck, &mark, i * TICK));
    }
    watch_leave(&mark);
}

static bool says(uint64_t inside, const char *service, const char *wanted)
{
    char sentence[STUCK_TEXT_BYTES];
    struct text text = text_in(sentence, sizeof(sentence));

    watch_enter(&mark, inside, request);
    stuck_text(&text, service, &mark);
    return strcmp(sentence, wanted) == 0;
}

#define NOT_BACK " did not come back for a second; the request had "

int main(void)
{
    time_in_one_call_counts();
    looks_alone_do_not_count();
    many_calls_do_not_count();
    CHECK(says(7 * WATCH_TURN | 1, "a", "service a: answer" NOT_BACK "1 byte: 00"));
    CHECK(says(7 * WATCH_TURN | 8, "a", "service a: answer" NOT_BACK "8 bytes: 0001ab6c050607ff"));
    CHECK(says(WATCH_PREPARE | WATCH_BYTES_MASK | 7 * WATCH_TURN, "a23456789012345",
               "service a23456789012345: prepare" NOT_BACK "32767 bytes: 0001ab6c050607ff..."));
    return 0;
}
