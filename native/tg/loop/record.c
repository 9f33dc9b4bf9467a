/* SPDX-License-Identifier: BSD-3-Clause */
#include "record.h"

#include <string.h>

void record_reset(struct record *record)
{
    if (record->low < record->high)
        memset(record->counts + record->low, 0,
               (record->high - record->low) * sizeof(record->counts[0]));
    record->low = RECORD_PLACES;
    record->high = 0;
    record->nb_over = 0;
}

void record_merge(struct record *sum, const struct record *part)
{
    for (uint32_t i = part->low; i < part->high; i++)
        sum->counts[i] += part->counts[i];
    sum->nb_over += part->nb_over;
    if (part->low < sum->low)
        sum->low = part->low;
    if (part->high > sum->high)
        sum->high = part->high;
}

uint64_t record_value_ns(uint32_t place)
{
    uint32_t bucket = place < 2 * RECORD_HALF ? 0 : place / RECORD_HALF - 1;
    uint64_t lowest = (uint64_t)(place - bucket * RECORD_HALF) << bucket;

    return lowest + ((1ull << bucket) >> 1);
}
