/* SPDX-License-Identifier: BSD-3-Clause */
/* The serial console: lines of JSON and lines of words go out, single bytes and the time
 * come in. */
#ifndef NEARMETAL_CONSOLE_H
#define NEARMETAL_CONSOLE_H

#include <stdbool.h>

/* Make it standard input, output and error: no echo, no line editing, no byte changed. */
const char *console_open(void);

/* {"event":"boot", ...}: what was booted, on what. */
void say_boot(void);

/* Who reads `boot` tells the time (told_time.h): wait a second for that, and go forward to it.
 * False: we are to end instead. */
bool hear_time(void);

/* {"event":"failed","error":...}, after the kernel's last words if they may tell why. */
void say_failed(const char *error, bool with_kernel_log);

#endif
