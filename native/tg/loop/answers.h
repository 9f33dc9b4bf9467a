/* SPDX-License-Identifier: BSD-3-Clause */
/* The receiving half of the loop: what a burst of replies is worth, and what is lost. */
#ifndef NEARMETAL_TG_ANSWERS_H
#define NEARMETAL_TG_ANSWERS_H

#include "loop.h"

/* Match, check and count replies that had come by `now`. */
void answers_take(struct loop *loop, const struct datagram *replies, unsigned nb, uint64_t now);

/*
 * A round of the port has ended: whatever had come before it began has been taken. So a request
 * that had timed out by then is lost, however long this program itself was held up. The next round
 * begins now.
 */
void answers_round(struct loop *loop, uint64_t now);

#endif
