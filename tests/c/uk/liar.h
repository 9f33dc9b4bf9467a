/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device that writes anything anywhere in the memory that it shares with netdev, at any time, and
 * connects and disconnects; and a caller that receives, sends, frees and sleeps meanwhile. Numbers
 * decide the steps of both: random ones, or a fuzzer's.
 */
#ifndef NEARMETAL_TEST_LIAR_H
#define NEARMETAL_TEST_LIAR_H

#include "netdev_bed.h"

struct numbers {
    const uint8_t *at, *end; /* NULL: random ones */
    uint64_t random;
};

/* Return a number of nb_bytes bytes. */
uint64_t numbers_take(struct numbers *numbers, unsigned nb_bytes);

/* Take one step of one of the two sides. Every byte that the caller owns is written. */
void liar_step(struct numbers *numbers);

/* Lengths near the limits of a frame with its header. */
extern const uint32_t liar_lens[];
extern const unsigned liar_nb_lens;

/* Connect an honest device, again until the driver has seen it; some earlier frames may be held.
 * Check that all frames sent arrive and that no buffer is lost. Afterwards no frame is held. */
void liar_check_honest(uint64_t features, uint16_t start);

#endif
