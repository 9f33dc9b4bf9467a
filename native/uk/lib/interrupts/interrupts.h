/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interrupts: traps and interrupts of one processor, and its sleep. For the `pc` form.
 *
 * Call order: open; then line and sleep in any order. From open on a trap ends the machine
 * with a line that says why (trap.h), and interrupts are on.
 *
 * Handlers run with interrupts off, on the stack of what they interrupt, without its vector
 * registers: they are compiled to use none.
 */
#ifndef NEARMETAL_UK_INTERRUPTS_H
#define NEARMETAL_UK_INTERRUPTS_H

#include <stdint.h>

/* Vectors; traps have those below. */
enum interrupt {
    INTERRUPT_FIRST = 0x20,
    INTERRUPT_TIMER = INTERRUPT_FIRST,
    INTERRUPT_CONSOLE,
    INTERRUPT_NETWORK,
    INTERRUPT_SPURIOUS = 0x2f,
    INTERRUPT_END
};

void interrupts_open(void);

/* What a device does with its line: a rise is an interrupt, or that it is up (PCI's lines, which
 * several may share). */
enum interrupt_kind { INTERRUPT_EDGE, INTERRUPT_LEVEL };

/* handler runs when a line of the machine's I/O APICs says so. */
void interrupts_line(unsigned line, enum interrupt_kind kind, enum interrupt vector,
                     void (*handler)(void));

/* Halt until an interrupt comes, at most `ns`; not at all if one came since the last sleep ended.
 */
void interrupts_sleep(uint64_t ns);

#endif
