/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory: the machine's memory, for the `pc` form. Memory that is taken is mapped at its own
 * address and never given back.
 *
 * Call order: open once, with the machine's memory map; then take and device in any order. After
 * open nothing is both writable and executable. Address 0, the pages around the stacks, and all
 * memory that was not taken are unmapped.
 */
#ifndef NEARMETAL_UK_MEMORY_H
#define NEARMETAL_UK_MEMORY_H

#include <stddef.h>

#include "layout.h"

#define MEMORY_RANGES_MAX 32u

/* Build and load the page tables. ram[0..nb) are the ranges of usable memory, in any order; the
 * image lies in one of them. NULL, or one sentence. */
const char *memory_open(const struct span *ram, unsigned nb, const struct layout *layout);

/* Take nb_bytes above the image, aligned to `align` (a power of two, at least a page). The content
 * is undefined. NULL: no free range is large enough. */
void *memory_take(uint64_t nb_bytes, uint64_t align);

/* As memory_take, and zeroed. */
void *memory_take_zeroed(uint64_t nb_bytes, uint64_t align);

/* As memory_take_zeroed, with the last byte of nb_bytes at the end of a page, and nb_fence_bytes
 * behind it that stay unmapped: an index that is too large by so much traps. */
void *memory_take_fenced(uint64_t nb_bytes, uint64_t nb_fence_bytes);

/*
 * Flush the processor's address translations if it is emulated; otherwise do nothing. Call it some
 * times a second at first, then once a second. QEMU (TCG) caches translations in a table that
 * begins with 256 pages, and enlarges it only at a flush, if it was full. A guest that runs a
 * single program would never flush it by itself.
 */
void memory_refresh(void);

/* Map the registers of a device: readable, writable, not cached. NULL: beyond the address space, or
 * no page table is left. */
void *memory_device(uint64_t address, uint64_t nb_bytes);

#endif
