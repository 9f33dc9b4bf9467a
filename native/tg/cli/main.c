/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nm-load, the traffic generator. Reading order: load.c (one worker a core), work.c (phases),
 * turn.h and turn_answers.h (a turn), port_*.c and wire_*.c (the wire); source.c, workload.c and
 * pace.c (which request, and when); load_kv.h, load_echo.h, load_replay.h (its bytes); match.c,
 * check.h and record.c (replies).
 */
#include "load.h"

int main(int argc, char **argv)
{
    struct load_options options;
    int status = load_options_parse(&options, argc, argv);

    if (status != 0)
        return status == 1 ? 0 : status;
    status = options.first_answer ? first_answer_run(&options) : load_run(&options);
    replay_file_close(&options.records);
    return status;
}
