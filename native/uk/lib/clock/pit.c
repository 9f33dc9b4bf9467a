/* SPDX-License-Identifier: BSD-3-Clause */
/* pit: access to the device; see pit.h. */
#include "pit.h"

#include "x86.h"

#define COUNTER_0 0x40u
#define CONTROL 0x43u
#define CONTROL_RATE 0x34u /* counter 0, two bytes, mode 2: divide by n */
#define CONTROL_LATCH 0x00u
#define ATTEMPTS 4u
#define LATCH_CYCLES 40000u /* a read that takes longer was interrupted */
#define LOOKS 100u          /* a timer that does not change in this many reads does not exist */

static uint32_t latch(void)
{
    x86_out8(CONTROL, CONTROL_LATCH);
    uint32_t low = x86_in8(COUNTER_0);
    return low | (uint32_t)x86_in8(COUNTER_0) << 8;
}

struct pit_moment pit_now(void)
{
    struct pit_moment best = {0};
    uint64_t best_cycles = UINT64_MAX;

    for (unsigned i = 0; i < ATTEMPTS && best_cycles > LATCH_CYCLES; i++) {
        uint64_t before = x86_tsc();
        x86_out8(CONTROL, CONTROL_LATCH);
        uint64_t after = x86_tsc();
        uint32_t low = x86_in8(COUNTER_0), count = low | (uint32_t)x86_in8(COUNTER_0) << 8;
        if (after - before >= best_cycles)
            continue;
        best_cycles = after - before;
        best = (struct pit_moment){before + best_cycles / 2, count};
    }
    return best;
}

bool pit_open(struct pit_moment *now)
{
    x86_out8(CONTROL, CONTROL_RATE);
    x86_out8(COUNTER_0, 0);
    x86_out8(COUNTER_0, 0);
    *now = pit_now();
    for (unsigned i = 0; i < LOOKS; i++) {
        if (latch() != now->count)
            return true;
    }
    return false;
}
