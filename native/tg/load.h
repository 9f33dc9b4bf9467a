/* SPDX-License-Identifier: BSD-3-Clause */
/* The phases of a load: preload, verify, warm-up, measured time, drain; and down and up. */
#ifndef NEARMETAL_TG_LOAD_H
#define NEARMETAL_TG_LOAD_H

#include "load_options.h"

/* Returns the exit code; what failed is said in one line on stderr. */
int load_run(const struct load_options *options);

/* --first-answer: ask every millisecond until the first right answer, print when it came. */
int first_answer_run(const struct load_options *options);

#endif
