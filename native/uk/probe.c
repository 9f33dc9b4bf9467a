/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nm-uk-probe: how fast a virtual machine is. Each turn of its loop waits for the one before, so
 * that a processor, a translator or an emulator of one shows about what an instruction takes. It
 * says again and again how many turns it has done, until the machine is ended.
 */
#include "boot.h"
#include "console.h"
#include "text.h"

/* Turns between two lines: at first so few that the slowest machine soon has a line, then doubled
 * each time, so that lines cost little. */
#define STEP_FIRST 8192u
#define STEP_MAX 4194304u
#define LINE_BYTES 64u

static void say(uint64_t nb_loops)
{
    char line[LINE_BYTES];
    struct text text = text_in(line, sizeof(line));

    text_put(&text, "{\"event\":\"probe\"");
    text_count(&text, "loops", nb_loops);
    text_put(&text, "}\n");
    console_say(line, (size_t)(text.at - line));
}

_Noreturn void image_main(void)
{
    uint64_t x = 1, nb_loops = 0;

    for (uint64_t nb = STEP_FIRST;; nb = nb < STEP_MAX ? 2 * nb : nb) {
        for (uint64_t i = 0; i < nb; i++)
            __asm__ volatile("lea 1(%0, %0, 2), %0" : "+r"(x));
        nb_loops += nb;
        say(nb_loops);
    }
}
