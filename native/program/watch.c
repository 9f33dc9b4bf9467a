/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watch, in a Linux program (watch.h): a timer of the time that the process spends in its own code.
 *
 * It stands still while the program sleeps, is stopped or waits for a processor; a signal every
 * 250 ms of work costs the loop nothing that can be measured.
 */
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include "datapath.h"
#include "service.h"
#include "stuck.h"

#define LINE_BYTES (STUCK_TEXT_BYTES + 64u)
#define TICK_US (STUCK_TICK_NS / 1000)

static struct watch_mark mark;
static struct stuck stuck;
static uint64_t spent_ns;

/* The loop is stuck, so it neither prints nor ends the program. */
static void on_tick(int signal_number)
{
    char line[LINE_BYTES];
    struct text text = text_in(line, sizeof(line));

    (void)signal_number;
    spent_ns += STUCK_TICK_NS;
    if (!stuck_look(&stuck, &mark, spent_ns))
        return;
    text_put(&text, "nm-");
    text_put(&text, datapath_name);
    text_put(&text, "-");
    text_put(&text, service_words.name);
    text_put(&text, ": ");
    stuck_text(&text, service_words.name, &mark);
    text_put(&text, "\n");
    ssize_t unused = write(STDERR_FILENO, line, (size_t)(text.at - line));
    (void)unused;
    _exit(1);
}

struct watch_mark *watch_open(void)
{
    const struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    const struct timeval tick = {.tv_usec = TICK_US};
    const struct itimerval every = {.it_interval = tick, .it_value = tick};

    sigaction(SIGVTALRM, &action, NULL);
    setitimer(ITIMER_VIRTUAL, &every, NULL);
    return &mark;
}
