/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watch, on a machine: a timer interrupt looks at the mark.
 *
 * An interrupt asks for the next one, so that a machine that was stopped gets one after it, not all
 * that it missed: each of them is time in which the image ran.
 */
#include "watch.h"

#include "console.h"
#include "interrupts.h"
#include "service.h"
#include "stuck.h"

static struct watch_mark mark;
static struct stuck stuck;
static uint64_t spent_ns;

static void on_tick(void)
{
    char sentence[STUCK_TEXT_BYTES];
    struct text text = text_in(sentence, sizeof(sentence));

    spent_ns += STUCK_TICK_NS;
    if (!stuck_look(&stuck, &mark, spent_ns))
        return;
    stuck_text(&text, service_words.name, &mark);
    console_fail(sentence);
}

struct watch_mark *watch_open(void)
{
    interrupts_tick(STUCK_TICK_NS, on_tick);
    return &mark;
}
