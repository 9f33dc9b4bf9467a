/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target: any frame, to the datapath `lwip` and to frames/ (beside_net.h). The first byte
 * selects what the wire vouches for and which checksums are set, as in frames/fuzz.c.
 */
#include <stddef.h>
#include <string.h>

#include "beside_net.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes)
{
    static struct bed_frame frame;
    uint64_t nb_by_reason[NB_DROP_REASONS] = {0};
    if (!bed_from_input(&frame, data, nb_bytes))
        return 0;
    uint32_t vouched = data[0] & 3;
    beside_net(&frame, &vouched, 1, nb_by_reason);
    return 0;
}
