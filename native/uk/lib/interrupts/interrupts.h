/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * interrupts: traps and interrupts of one processor, and its sleep. For the `pc` form.
 *
 * Call order: open; then line, message and sleep in any order. From open on a trap ends the machine
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

/* A line of the machine's I/O APICs (edge-triggered): handler runs on each edge. */
void interrupts_line(unsigned line, enum interrupt vector, void (*handler)(void));

/* An interrupt that is a write to memory (MSI): what to write, and where. handler may be NULL. */
struct interrupt_message {
    uint64_t address;
    uint32_t data;
};

struct interrupt_message interrupts_message(enum interrupt vector, void (*handler)(void));

/* Halt until an interrupt comes, at most `ns`; not at all if one came since the last sleep ended. */
void interrupts_sleep(uint64_t ns);

#endif
