/* SPDX-License-Identifier: BSD-3-Clause */
/* The serial console: lines of JSON and of text are written, single bytes and the time are read. */
#ifndef NEARMETAL_CONSOLE_H
#define NEARMETAL_CONSOLE_H

#include <stdbool.h>

/* Make the console standard input, output and error: no echo, no line editing, no byte changed. */
const char *console_open(void);

/* Print {"event":"boot", ...}: the kernel, the CPUs, the clock, the mitigations. */
void say_boot(void);

/* Wait up to a second for the time (told_time.h), which the reader of `boot` sends, and set the
 * clock forward to it. Returns false on a request to end. */
bool hear_time(void);

/* Print {"event":"failed","error":...}; before it, on request, the end of the kernel's log. */
void say_failed(const char *error, bool with_kernel_log);

#endif
