/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The interface between a liar and its program: a Linux program (liar_host.c), which starts lying
 * on a signal and writes a log, or an image (liar_image.c), which can do neither: a process with
 * access to its memory writes the settings and reads the counts.
 */
#ifndef NEARMETAL_LIAR_H
#define NEARMETAL_LIAR_H

#include <stdint.h>

#include "random.h"

enum lie { LIE_NONE, LIE_FLIP, LIE_DROP, LIE_DOUBLE, LIE_DELAY, LIE_IGNORE, LIE_STALE, NB_LIES };

/* Defined by the liar. The program sets the first two before the third. */
struct liar_settings {
    struct random random;
    uint64_t timeout_ns; /* of the generator */
    volatile uint32_t lying;
};

extern struct liar_settings liar_settings;
extern uint32_t liar_nb_held; /* delayed replies that wait */

/* Give up all held replies. */
void liar_close(void);

/* Defined by the program. */
void liar_log(enum lie lie, uint32_t number);
uint64_t liar_now_ns(void);

#endif
