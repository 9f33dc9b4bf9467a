/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large tables, all zero. What is looked up here and there in many megabytes costs a walk through
 * page tables each time, twice as long in a virtual machine: so they lie in large pages, where the
 * kernel has some. Untouched memory is not taken.
 */
#ifndef NEARMETAL_TG_TABLE_H
#define NEARMETAL_TG_TABLE_H

#include <stddef.h>

/* NULL when memory is short. */
void *table_open(size_t bytes);

/* bytes: as opened. Takes NULL. */
void table_close(void *table, size_t bytes);

#endif
