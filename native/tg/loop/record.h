/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A histogram with the layout of HdrHistogram: 1 ns to 1 s, 3 significant digits. Bucket k has
 * 2,048 places of 2^k ns each; bucket 0 uses all of them, the others their upper half.
 */
#ifndef NEARMETAL_TG_RECORD_H
#define NEARMETAL_TG_RECORD_H

#include <stdint.h>

#define RECORD_MAX_NS 1000000000ull
#define RECORD_HALF 1024u  /* places of a bucket that the bucket before does not cover */
#define RECORD_BUCKETS 20u /* 2,048 << 19 > RECORD_MAX_NS */
#define RECORD_PLACES ((RECORD_BUCKETS + 1) * RECORD_HALF)

struct record {
    uint32_t low, high; /* places in use: [low, high) */
    uint64_t nb_over;   /* values above RECORD_MAX_NS: also counted in its place */
    uint64_t counts[RECORD_PLACES];
};

/* Clear a record. A record that was never reset must be all zero. */
void record_reset(struct record *record);

/* sum += part */
void record_merge(struct record *sum, const struct record *part);

/* The mid-point of a place, as HdrHistogram's median-equivalent value. */
uint64_t record_value_ns(uint32_t place);

static inline uint32_t record_place(uint64_t ns)
{
    unsigned bucket;

    if (ns > RECORD_MAX_NS)
        ns = RECORD_MAX_NS; /* the highest trackable value, as in HdrHistogram's own recorders */
    /* The number of bits above the 11 that a bucket's places cover. */
    bucket = 63u - (unsigned)__builtin_clzll(ns | (2 * RECORD_HALF - 1)) - 10u;
    return bucket * RECORD_HALF + (uint32_t)(ns >> bucket);
}

static inline void record_add_many(struct record *record, uint64_t ns, uint64_t nb)
{
    uint32_t place = record_place(ns);

    record->counts[place] += nb;
    record->nb_over += ns > RECORD_MAX_NS ? nb : 0;
    if (place < record->low)
        record->low = place;
    if (place >= record->high)
        record->high = place + 1;
}

static inline void record_add(struct record *record, uint64_t ns)
{
    record_add_many(record, ns, 1);
}

#endif
