/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nm-load, the traffic generator. From here: load.c (phases) -> loop.c (a turn) -> port_*.c
 * (the wire), source.c and workload.c (what is asked), match.c, check.c, record.c (what came back).
 */
#include "load.h"

int main(int argc, char **argv)
{
    struct load_options options;
    int bad = load_options_parse(&options, argc, argv);

    if (bad != 0)
        return bad == 1 ? 0 : bad;
    return options.first_answer ? first_answer_run(&options) : load_run(&options);
}
