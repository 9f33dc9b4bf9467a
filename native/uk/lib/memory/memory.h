/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory: the machine's memory, for the `pc` form: what is taken is mapped, to itself, and never
 * given back.
 *
 * Call order: open once, with the machine's map; then take and device in any order. From open on
 * nothing is both writable and executable, and address 0, the pages around the stacks and whatever
 * was not taken are not there.
 */
#ifndef NEARMETAL_UK_MEMORY_H
#define NEARMETAL_UK_MEMORY_H

#include <stddef.h>

#include "layout.h"

#define MEMORY_RANGES_MAX 32u

/* ram[0..nb) is usable memory, in any order; the image lies in one of them. NULL, or one sentence.
 */
const char *memory_open(const struct span *ram, unsigned nb, const struct layout *layout);

/* So many bytes above the image, from a multiple of `align` (a power of two, at least a page) on;
 * NULL: there are not so many in one piece. What is in them is not known. */
void *memory_take(uint64_t nb_bytes, uint64_t align);

/* As memory_take, and zeroed. */
void *memory_take_zeroed(uint64_t nb_bytes, uint64_t align);

/*
 * To be called now and then, some times a second at first. An emulator looks addresses up in a
 * table of its own: QEMU's (TCG) begins with 256 pages, and grows only when it is full as it is
 * flushed, which a guest of one program never does by itself. Elsewhere it does nothing.
 */
void memory_refresh(void);

/* Registers of a device: readable, writable, not cached. NULL: out of reach. */
void *memory_device(uint64_t address, uint64_t nb_bytes);

#endif
