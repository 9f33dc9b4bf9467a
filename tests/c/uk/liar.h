/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that writes anything anywhere in the memory that it shares with netdev, at any time,
 * comes and goes; and a caller that receives, sends, frees and sleeps meanwhile. What they do is
 * decided by numbers: random ones, or a fuzzer's.
 */
#ifndef NEARMETAL_TEST_LIAR_H
#define NEARMETAL_TEST_LIAR_H

#include "netdev_bed.h"

struct numbers {
    const uint8_t *at, *end; /* NULL: random ones */
    uint64_t random;
};

/* A number of so many bytes. */
uint64_t numbers_take(struct numbers *numbers, unsigned nb_bytes);

/* Something, by one of the two sides. Every byte that the caller has is touched. */
void liar_step(struct numbers *numbers);

/* Lengths near the edges of what a frame with its header may have. */
extern const uint32_t liar_lens[];
extern const unsigned liar_nb_lens;

/* An honest link, renewed until the driver has seen it; some frames of before may be held. All that
 * is sent arrives, then no buffer is lost. Nothing is held afterwards. */
void liar_check_honest(uint64_t features, uint16_t start);

#endif
