/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stuck: whether a function of a user's service does not come back, and in which words (watch.h).
 *
 * The rule counts the time that the program itself spends, not that of a clock on the wall: a
 * program that is stopped, or gets little of its processor, is slow and not stuck.
 */
#ifndef NEARMETAL_STUCK_H
#define NEARMETAL_STUCK_H

#include <stdbool.h>

#include "text.h"
#include "watch.h"

/* A look every 250 ms sees a stuck function within a second. */
#define STUCK_TICK_NS 250000000ull
#define STUCK_NS (3 * STUCK_TICK_NS)
/* Bytes of the longest sentence, with a name of SERVICE_NAME_BYTES. */
#define STUCK_TEXT_BYTES 160u

struct stuck {
    uint64_t inside;   /* of the mark, when it was last another one */
    uint64_t since_ns; /* and what the program had spent by then */
};

/* Look at the mark. True: the program has spent STUCK_NS or more in one call. spent_ns: the time
 * that it has spent altogether. */
bool stuck_look(struct stuck *stuck, const struct watch_mark *mark, uint64_t spent_ns);

/* Append one sentence. */
void stuck_text(struct text *text, const char *service, const struct watch_mark *mark);

#endif
