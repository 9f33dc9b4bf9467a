/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The moments between two steps of publishing, asking, sleeping and waking (vring.h), and a
 * scheduler that stops one side there until the other can do no more. The files under test are
 * compiled with this header in front.
 */
#ifndef NEARMETAL_TEST_MOMENTS_H
#define NEARMETAL_TEST_MOMENTS_H

#include <stdbool.h>

#define VRING_MOMENT(where) moments_pass(where)

enum moments_side { MOMENTS_DRIVER, MOMENTS_DEVICE, MOMENTS_SIDES };

#define MOMENTS_MAX 64u

/* This thread is that side from now on; threads that are none are never stopped. */
void moments_join(enum moments_side side);

/* A side that has reached `where`. */
void moments_pass(const char *where);

/* The moments that were passed so far, each once; returns how many. */
unsigned moments_seen(const char *list[MOMENTS_MAX]);

/* Whoever passes this moment is stopped there until the other side sleeps, each time; NULL:
 * nobody is. */
void moments_stop_at(const char *where);

/* Any moment of both sides may be such a one: one in `often`, by this seed; 0: none. */
void moments_stop_anywhere(unsigned often, unsigned seed);

/* Both sides sleep, so that nobody but the caller could wake one of them. */
bool moments_all_asleep(void);

#endif
