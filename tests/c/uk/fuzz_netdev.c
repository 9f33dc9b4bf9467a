/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target: netdev with a device that lies (liar.h); the input decides the steps of both
 * sides. A process has one netdev, which is kept from input to input; each input ends with an
 * honest device, after which only the order of the spare buffers can still differ.
 */
#include "liar.h"

enum { SIZE = 64, START = 65500 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes)
{
    struct numbers numbers = {.at = data, .end = data + nb_bytes};
    uint64_t options;

    if (nb_bytes == 0)
        return 0; /* NULL would select random numbers */
    options = numbers_take(&numbers, 1);
    if (bed.frames == NULL)
        netdev_bed_open(SIZE, BED_IN_ORDER, START);
    liar_check_honest((options & 1 ? BED_IN_ORDER : 0) | (options & 2 ? BED_EVENT_IDX : 0), START);
    while (numbers.at < numbers.end)
        liar_step(&numbers);
    liar_check_honest(options & 4 ? BED_IN_ORDER : 0, START);
    return 0;
}
