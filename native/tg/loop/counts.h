/* SPDX-License-Identifier: BSD-3-Clause */
/* What is counted: sent = answered + wrong + lost once nothing is in flight. */
#ifndef NEARMETAL_TG_COUNTS_H
#define NEARMETAL_TG_COUNTS_H

#include <stdint.h>

/* X(name), in the order of the lines. answered: right answers only. wrong includes stale and
 * unexpected_miss; lost includes late; duplicate and unmatched stand apart. malformed: frames that
 * came and are no sound datagram from the target to us. */
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
    X(malformed)

struct counts {
#define X(name) uint64_t name;
    COUNTS(X)
#undef X
};

/* TSC cycles of the generator: receiving something, finding nothing, checking, making and sending.
 */
struct cycles {
    uint64_t receive, empty, check, send;
};

#endif
