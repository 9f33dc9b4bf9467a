/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target: any frame, checked against what holds for all (bed_receive). The first byte
 * selects what the wire vouches for and which checksums are set: otherwise few frames would pass.
 */
#include <stddef.h>

#include "bed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes)
{
    static struct bed_frame frame;
    struct net net;
    if (!bed_from_input(&frame, data, nb_bytes))
        return 0;
    bed_open(&net);
    (void)bed_receive(&net, frame.bytes, frame.len, data[0] & 3);
    return 0;
}
