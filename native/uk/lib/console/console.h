/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console: the first serial port (COM1, a 16550A). An image of the `pc` form prints its lines
 * there, and receives the requests to stop and to report, and the time.
 *
 * Call order: open, then any number of say; listen once interrupts are set up. fail may be called
 * at any time, even before open.
 */
#ifndef NEARMETAL_UK_CONSOLE_H
#define NEARMETAL_UK_CONSOLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

void console_open(void);

/* Print the text; blocks until the port has taken it. Gives up on a port that never takes a
 * byte. */
void console_say(const char *text, size_t nb_bytes);

/* Receive by interrupt from now on: `q` sets *stop, `c` sets *ask, a time (told_time.h) is passed
 * to `take_time`. Other bytes are ignored. */
void console_listen(atomic_int *stop, atomic_int *ask, void (*take_time)(uint64_t unix_ns));

/* Print why this image ends, {"event":"failed",...}, and power the machine off. */
_Noreturn void console_fail(const char *error);

#endif
