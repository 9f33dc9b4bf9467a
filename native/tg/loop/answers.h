/* SPDX-License-Identifier: BSD-3-Clause */
/* The receiving half of the loop: checks a burst of replies, and finds lost requests. */
#ifndef NEARMETAL_TG_ANSWERS_H
#define NEARMETAL_TG_ANSWERS_H

#include "loop.h"

/* Match, check and count replies that were received by `now`. */
void answers_take(struct loop *loop, const struct datagram *replies, unsigned nb, uint64_t now);

/*
 * End a round of the port: everything that arrived before the round began has been taken. So a
 * request that had timed out by then is lost, even if this program was interrupted meanwhile. The
 * next round begins at `now`.
 */
void answers_round(struct loop *loop, uint64_t now);

#endif
