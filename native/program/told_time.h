/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The time of day, sent to a virtual machine on its serial line: `t`, the nanoseconds of Unix time
 * in decimal, a newline. The machine's own real-time clock counts whole seconds and QEMU starts it
 * without the fraction, so it is up to two seconds late.
 *
 * The time is the one of sending, so on arrival it is already past: the machine's clock may be set
 * forward to it, never back. Freestanding.
 */
#ifndef NEARMETAL_TOLD_TIME_H
#define NEARMETAL_TOLD_TIME_H

#include <stdbool.h>
#include <stdint.h>

#define TOLD_TIME_DIGITS_MAX 19u /* more digits exceed 64 bits of nanoseconds */

/* Begins as zeros. */
struct told_time {
    bool is_open; /* a `t` was received, and only digits since */
    unsigned nb_digits;
    uint64_t ns;
};

/* Take the next byte of the line. Returns the time at the end of a valid one, else 0. */
static inline uint64_t told_time_take(struct told_time *told, char byte)
{
    bool was_open = told->is_open;

    if (byte == 't') {
        *told = (struct told_time){.is_open = true};
        return 0;
    }
    told->is_open =
        was_open && byte >= '0' && byte <= '9' && told->nb_digits < TOLD_TIME_DIGITS_MAX;
    if (told->is_open) {
        told->nb_digits++;
        told->ns = told->ns * 10 + (uint64_t)(byte - '0');
    }
    return was_open && byte == '\n' ? told->ns : 0;
}

#endif
