/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interrupts: traps, interrupts and sleep of one processor. For the `pc` form.
 *
 * Call order: open; then line and sleep in any order. After open, interrupts are on, and a trap
 * ends the machine with a line that says why (trap.h).
 *
 * Handlers run with interrupts off, on a stack of their own. Vector registers are not
 * saved, so handlers are compiled to use none.
 */
#ifndef NEARMETAL_UK_INTERRUPTS_H
#define NEARMETAL_UK_INTERRUPTS_H

#include <stdint.h>

/* Vectors. Traps have the numbers below INTERRUPT_FIRST. */
enum interrupt {
    INTERRUPT_FIRST = 0x20,
    INTERRUPT_TIMER = INTERRUPT_FIRST,
    INTERRUPT_CONSOLE,
    INTERRUPT_NETWORK,
    INTERRUPT_SPURIOUS = 0x2f,
    INTERRUPT_END
};

void interrupts_open(void);

/* How a line signals: by its rise, or by its level (PCI lines, which devices may share). */
enum interrupt_kind { INTERRUPT_EDGE, INTERRUPT_LEVEL };

/* Call `handler` on each interrupt of this line of the machine's I/O APICs. */
void interrupts_line(unsigned line, enum interrupt_kind kind, enum interrupt vector,
                     void (*handler)(void));

/* Halt until an interrupt arrives, at most `ns`. Return at once if one arrived since the last sleep
 * ended. */
void interrupts_sleep(uint64_t ns);

/* Call `handler` every `ns` while the machine is awake, and at times during a sleep. The next
 * interrupt is requested after the handler, so none is made up for. */
void interrupts_tick(uint64_t ns, void (*handler)(void));

#endif
