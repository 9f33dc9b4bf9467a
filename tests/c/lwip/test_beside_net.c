/* SPDX-License-Identifier: BSD-3-Clause */
/* Mutated frames in bursts to the datapath `lwip` and to frames/ (beside_net.h). */
#include <stdlib.h>

#include "beside_net.h"
#include "../check.h"
#include "mutate.h"

int main(int argc, char **argv)
{
    static struct bed_frame frames[SERVICE_BURST_MAX];
    uint64_t nb_by_reason[NB_DROP_REASONS] = {0};
    uint32_t vouched[SERVICE_BURST_MAX];
    uint32_t nb_frames = argc > 1 ? (uint32_t)atoi(argv[1]) : 1000000, nb;
    for (uint32_t done = 0; done < nb_frames; done += nb) {
        nb = 1 + mutate_draw(SERVICE_BURST_MAX);
        for (uint32_t i = 0; i < nb; i++) {
            mutate_make(&frames[i]);
            vouched[i] = mutate_draw(8) ? 0 : mutate_draw(4);
        }
        beside_net(frames, vouched, nb, nb_by_reason);
    }
    /* Every drop reason of frames/ occurred: the mutations reach every check. */
    CHECK(nb_by_reason[DROP_NONE] > 0);
    for (uint32_t reason = DROP_FRAME; reason < DROP_SERVICE; reason++)
        CHECK(nb_by_reason[reason] > 0);
    return 0;
}
