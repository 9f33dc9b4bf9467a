/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A liar and the program that it is in: a Linux program (liar_host.c), which is told to lie by a
 * signal and writes a log, or an image (liar_image.c), which can do neither, so that its settings
 * are written, and its counts read, in its memory by whoever may.
 */
#ifndef NEARMETAL_LIAR_H
#define NEARMETAL_LIAR_H

#include <stdint.h>

#include "random.h"

enum lie { LIE_NONE, LIE_FLIP, LIE_DROP, LIE_DOUBLE, LIE_DELAY, LIE_IGNORE, LIE_STALE, NB_LIES };

/* Of the liar. The program sets the first two before the third. */
struct liar_settings {
    struct random random;
    uint64_t timeout_ns; /* of the generator */
    volatile uint32_t lying;
};

extern struct liar_settings liar_settings;
extern uint32_t liar_nb_held; /* delayed replies that wait */

/* What is still held will not be sent. */
void liar_close(void);

/* Of the program. */
void liar_log(enum lie lie, uint32_t number);
uint64_t liar_now_ns(void);

#endif
