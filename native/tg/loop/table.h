/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Large tables, zeroed. A random access to many megabytes often walks the page tables, at twice the
 * cost in a virtual machine; so a table lies in large pages if the kernel has some. Memory that is
 * never touched is not allocated.
 */
#ifndef NEARMETAL_TG_TABLE_H
#define NEARMETAL_TG_TABLE_H

#include <stddef.h>

/* NULL: out of memory. */
void *table_open(size_t bytes);

/* bytes: as opened. Accepts NULL. */
void table_close(void *table, size_t bytes);

#endif
