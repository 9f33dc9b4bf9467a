/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Divides the load among the threads of --lcores (one a core) and the generators of --share. The
 * options give flows, keys, window and rate of the whole; each thread gets its part of each.
 */
#ifndef NEARMETAL_TG_LOAD_SHARES_H
#define NEARMETAL_TG_LOAD_SHARES_H

#include "load_options.h"

/* Parse "1,3". NULL, or what is expected instead. */
const char *shares_lcores(const char *text, struct load_options *options);

/* Parse "2/3". NULL, or what is expected instead. */
const char *shares_share(const char *text, struct load_options *options);

/* NULL, or one sentence: there is not enough for each thread. */
const char *shares_check(const struct load_options *options);

/* Number of threads of this generator. */
unsigned shares_nb_workers(const struct load_options *options);

/* The part of `whole` for one thread of this generator: where it begins, and how much it is. */
uint32_t shares_begin(const struct load_options *options, uint32_t whole, unsigned worker);
uint32_t shares_of(const struct load_options *options, uint32_t whole, unsigned worker);

/* The part of `whole` for this generator. */
uint32_t shares_ours(const struct load_options *options, uint32_t whole);

/* Whether the first thread of this generator asks the records of `before`; no other does. */
bool shares_ask_before(const struct load_options *options);

/* Number of threads of all generators, and the position of a thread of this generator among
 * them. */
unsigned shares_nb_all(const struct load_options *options);
unsigned shares_place(const struct load_options *options, unsigned worker);

#endif
