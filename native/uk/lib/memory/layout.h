/* SPDX-License-Identifier: BSD-3-Clause */
/* layout: where the parts of an image of the `pc` form lie, as its linker script (uk/images/pc.ld)
 * places them. */
#ifndef NEARMETAL_UK_LAYOUT_H
#define NEARMETAL_UK_LAYOUT_H

#include <stdint.h>

#define LAYOUT_PAGE_BYTES 4096u
#define LAYOUT_GUARDS 5u

struct span {
    uint64_t begin, end;
};

/* Unmapped guard pages lie before, between and behind the stacks. */
struct layout {
    struct span text, rodata, data; /* data: with the zeroed part (.bss) */
    struct span stack, trap_stack, double_stack, interrupt_stack;
    struct span guards[LAYOUT_GUARDS]; /* before, between and behind the stacks */
};

/* Return the layout of the running image. */
struct layout layout_of_image(void);

#endif
