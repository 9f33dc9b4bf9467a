/* SPDX-License-Identifier: BSD-3-Clause */
/* layout: where the parts of an image of the `pc` form lie, as its linker script (uk/images/pc.ld)
 * places them. */
#ifndef NEARMETAL_UK_LAYOUT_H
#define NEARMETAL_UK_LAYOUT_H

#include <stdint.h>

#define LAYOUT_PAGE_BYTES 4096u
#define LAYOUT_GUARDS 4u

struct span {
    uint64_t begin, end;
};

/* Between the stacks and around them lie pages that are not there. */
struct layout {
    struct span text, rodata, data; /* data: with what is zero at the start */
    struct span stack, trap_stack, double_stack;
    struct span guards[LAYOUT_GUARDS]; /* before, between and behind the stacks */
};

/* This image's. */
struct layout layout_of_image(void);

#endif
