/* SPDX-License-Identifier: BSD-3-Clause */
/* The rare cases of the receiving half of a turn (turn_answers.h), once for all loads: answers that
 * are not right, replies that are no answers, lost requests. */
#ifndef NEARMETAL_TG_ANSWERS_H
#define NEARMETAL_TG_ANSWERS_H

#include "check.h"
#include "loop.h"

/* Count an answer that is not right, and keep the first one of the phase: an error message may
 * quote it. */
void answers_wrong(struct loop *loop, const struct slot *slot, const struct datagram *reply,
                   enum verdict verdict);

/* Count a reply to a request that is not in flight. */
void answers_stray(struct loop *loop, const struct slot *slot, enum slot_state before,
                   uint64_t now);

/* Count a lost request; a phase that sends each request once sends it again. */
void answers_lost(struct loop *loop, const struct slot *slot, uint32_t flow);

#endif
