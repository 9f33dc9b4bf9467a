/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A liar in a Linux program: it lies from SIGUSR2 on, and logs one line per lie.
 *
 * Environment: NEARMETAL_LIAR_LOG (file), _SEED, _TIMEOUT_MS (the time-out of the generator).
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "liar.h"

static FILE *log_file;

void liar_log(enum lie lie, uint32_t number)
{
    static const char *const names[NB_LIES] = {"none",  "flip", "drop", "double", "delay", "ignore",
                                               "stale", "cut",  "stub", "longer", "other", "id"};

    fprintf(log_file, "{\"lie\":\"%s\",\"number\":%u}\n", names[lie], number);
}

uint64_t liar_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static void lying_begin(int signal_number)
{
    (void)signal_number;
    liar_settings.lying = 1;
}

static void close_log(void)
{
    liar_close();
    fclose(log_file);
}

static const char *setting(const char *name)
{
    const char *value = getenv(name);

    if (value == NULL) {
        fprintf(stderr, "liar: %s is not set\n", name);
        exit(2);
    }
    return value;
}

__attribute__((constructor)) static void open_log(void)
{
    struct sigaction action = {.sa_handler = lying_begin};
    const char *path = setting("NEARMETAL_LIAR_LOG");

    liar_settings.random.state = strtoull(setting("NEARMETAL_LIAR_SEED"), NULL, 10);
    liar_settings.timeout_ns = strtoull(setting("NEARMETAL_LIAR_TIMEOUT_MS"), NULL, 10) * 1000000;
    log_file = fopen(path, "w");
    if (log_file == NULL) {
        perror(path);
        exit(2);
    }
    sigaction(SIGUSR2, &action, NULL);
    atexit(close_log);
}
