/* SPDX-License-Identifier: BSD-3-Clause */
/* trap: describes a trap of the processor in words (Intel SDM 3A, 6.15). */
#ifndef NEARMETAL_UK_TRAP_H
#define NEARMETAL_UK_TRAP_H

#include "layout.h"
#include "text.h"

/* The trap's stack as entry.S leaves it. */
struct trap_frame {
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

#define TRAP_TEXT_BYTES 384u /* enough for the longest sentence */

/* Write one sentence: cause, address, instruction. `address` is used for page faults only. */
void trap_text(struct text *text, const struct trap_frame *frame, uint64_t address,
               const struct layout *layout);

#endif
