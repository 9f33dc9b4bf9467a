/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * console: the first serial port (COM1, a 16550A), where an image of the `pc` form says what it has
 * to say, and is told to stop, to report, and the time.
 *
 * Call order: open, then any number of say; listen once interrupts are there. fail at any time, and
 * without open.
 */
#ifndef NEARMETAL_UK_CONSOLE_H
#define NEARMETAL_UK_CONSOLE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

void console_open(void);

/* Waits until the port has taken it. */
void console_say(const char *text, size_t nb_bytes);

/* From now on bytes that come set flags, by interrupt: `q` *stop, `c` *ask; a time (told_time.h) is
 * handed to `take_time`; others are ignored. */
void console_listen(atomic_int *stop, atomic_int *ask, void (*take_time)(uint64_t unix_ns));

/* Say why this image ends, {"event":"failed",...}, and power the machine off. */
_Noreturn void console_fail(const char *error);

#endif
