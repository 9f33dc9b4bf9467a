/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Mutated frames (mutate.h): nothing outside the frame is touched, and both checks agree
 * (bed_receive).
 */
#include <stdlib.h>

#include "../check.h"
#include "mutate.h"

int main(int argc, char **argv)
{
    uint64_t nb_by_reason[NB_DROP_REASONS] = {0};
    uint32_t nb_frames = argc > 1 ? (uint32_t)atoi(argv[1]) : 1000000;
    struct bed_frame frame;
    struct net net;
    bed_open(&net);
    for (uint32_t i = 0; i < nb_frames; i++) {
        mutate_make(&frame);
        nb_by_reason[bed_receive(&net, frame.bytes, frame.len,
                                 mutate_draw(8) ? 0 : mutate_draw(4))]++;
    }
    /* Every drop reason of frames/ occurred: the mutations reach every check. */
    CHECK(nb_by_reason[DROP_NONE] > 0);
    for (uint32_t reason = DROP_FRAME; reason < DROP_SERVICE; reason++)
        CHECK(nb_by_reason[reason] > 0);
    return 0;
}
