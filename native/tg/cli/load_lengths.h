/* SPDX-License-Identifier: BSD-3-Clause */
/* The lengths of keys and values in the options: one for all keys, or classes of keys. */
#ifndef NEARMETAL_TG_LOAD_LENGTHS_H
#define NEARMETAL_TG_LOAD_LENGTHS_H

#include "load_options.h"

/* Parse --value-bytes: N, or N:SHARE for each class. NULL, or what is expected. */
const char *lengths_values(const char *text, struct load_config *load);

/* Parse --key-bytes, of all classes. NULL, or what is expected. */
const char *lengths_keys(const char *text, struct load_config *load);

/* Check them together, and with the number of keys. NULL, or one sentence. */
const char *lengths_check(const struct load_options *options);

#endif
