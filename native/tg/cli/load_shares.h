/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who does which part of the load: --lcores, a thread on each core, and --share, one of several
 * generators. Flows, keys, window and rate are those of the whole; each part gets its own of each.
 */
#ifndef NEARMETAL_TG_LOAD_SHARES_H
#define NEARMETAL_TG_LOAD_SHARES_H

#include "load_options.h"

/* "1,3". NULL, or what is wanted instead. */
const char *shares_lcores(const char *text, struct load_options *options);

/* "2/3". NULL, or what is wanted instead. */
const char *shares_share(const char *text, struct load_options *options);

/* NULL, or one sentence on why there is not enough for everybody. */
const char *shares_check(const struct load_options *options);

/* Threads of this generator. */
unsigned shares_nb_workers(const struct load_options *options);

/* Of a whole, where the part of one of our threads begins, and how much it is. */
uint32_t shares_begin(const struct load_options *options, uint32_t whole, unsigned worker);
uint32_t shares_of(const struct load_options *options, uint32_t whole, unsigned worker);

/* Of a whole, the part of this generator. */
uint32_t shares_ours(const struct load_options *options, uint32_t whole);

/* Threads of all generators, and where one of ours is among them. */
unsigned shares_nb_all(const struct load_options *options);
unsigned shares_place(const struct load_options *options, unsigned worker);

#endif
