/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Draws of Zipf's law and their digits, several at a time by AVX2, where the processor has it. The
 * results are those of workload.c and words.h, bit by bit.
 */
#ifndef NEARMETAL_TG_WIDE_H
#define NEARMETAL_TG_WIDE_H

#include <stdbool.h>

#include "words.h"
#include "workload.h"

#define WIDE_DRAWS 8u      /* a group */
#define WIDE_DRAWS_MAX 64u /* a call */

/* Whether this processor has AVX2; otherwise the functions below must not be called. */
bool wide_supported(void);

/* Draw numbers by Zipf's law, in whole groups, at most WIDE_DRAWS_MAX; all are GETs. Returns how
 * many: fewer than fit into nb if a random word more than usual was used. */
unsigned wide_numbers(const struct workload *workload, struct random *random, struct draw *draws,
                      unsigned nb);

/* The digits of the numbers of draws, in groups of four. Returns how many. */
unsigned wide_digits(const struct draw *draws, struct digits *digits, unsigned nb);

#endif
