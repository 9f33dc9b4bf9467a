/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target: netdev with a device that lies (liar.h); the input says what either side does.
 * A process has one netdev, so it stays from input to input; each ends with an honest device, after
 * which nothing but the order of the spare buffers is left of it.
 */
#include "liar.h"

enum { SIZE = 64, START = 65500 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes)
{
    struct numbers numbers = {.at = data, .end = data + nb_bytes};
    uint64_t options;

    if (nb_bytes == 0)
        return 0; /* at NULL, numbers would be random */
    options = numbers_take(&numbers, 1);
    if (bed.frames == NULL)
        netdev_bed_open(SIZE, BED_IN_ORDER, START);
    liar_check_honest((options & 1 ? BED_IN_ORDER : 0) | (options & 2 ? BED_EVENT_IDX : 0), START);
    while (numbers.at < numbers.end)
        liar_step(&numbers);
    liar_check_honest(options & 4 ? BED_IN_ORDER : 0, START);
    return 0;
}
