/* SPDX-License-Identifier: BSD-3-Clause */
/* trap: what a processor says when an image did what it may not, in words (Intel SDM 3A, 6.15). */
#ifndef NEARMETAL_UK_TRAP_H
#define NEARMETAL_UK_TRAP_H

#include "layout.h"
#include "text.h"

/* As the stubs of entry.S leave it on the trap's stack. */
struct trap_frame {
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

#define TRAP_TEXT_BYTES 384u /* is enough for it */

/* A sentence: cause, address, and the instruction's. `address` is of interest to page faults. */
void trap_text(struct text *text, const struct trap_frame *frame, uint64_t address,
               const struct layout *layout);

#endif
