/* SPDX-License-Identifier: BSD-3-Clause */
/* The counters: sent = answered + wrong + lost once nothing is in flight. */
#ifndef NEARMETAL_TG_COUNTS_H
#define NEARMETAL_TG_COUNTS_H

#include <stdint.h>

/* X(name), in the order of the output lines. answered: right answers only. wrong includes stale and
 * unexpected_miss; lost includes late; duplicate and unmatched are in no other counter. malformed:
 * frames that arrived but are no valid datagram from the target to the generator. unchecked_bytes:
 * of the right answers' bytes those that the load does not compare, or not all bits of them. */
#define COUNTS(X)                                                                                  \
    X(sent)                                                                                        \
    X(answered)                                                                                    \
    X(wrong)                                                                                       \
    X(stale)                                                                                       \
    X(unexpected_miss)                                                                             \
    X(lost)                                                                                        \
    X(late)                                                                                        \
    X(duplicate)                                                                                   \
    X(unmatched)                                                                                   \
    X(gets)                                                                                        \
    X(sets)                                                                                        \
    X(window_limited)                                                                              \
    X(malformed)                                                                                   \
    X(unchecked_bytes)

struct counts {
#define X(name) uint64_t name;
    COUNTS(X)
#undef X
};

/* TSC cycles of the generator: receiving replies, polling without result, checking, making and
 * sending requests. */
struct cycles {
    uint64_t receive, empty, check, send;
};

#endif
