/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nm-uk-probe: measures how fast a virtual machine is. Each turn of the loop depends on the turn
 * before, so a turn takes as long as one instruction on this processor, translator or emulator. The
 * program prints the number of turns done so far again and again, until the machine is stopped.
 */
#include "boot.h"
#include "console.h"
#include "text.h"

/* Turns between two lines. The first step is so small that the slowest machine prints a line soon;
 * then the step doubles each time, so that printing costs little. */
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
