/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The moments between two steps of publishing, polling, sleeping and waking (vring.h), and a
 * scheduler that stops one side there until the other side sleeps. The files under test are
 * compiled with this header in front.
 */
#ifndef NEARMETAL_TEST_MOMENTS_H
#define NEARMETAL_TEST_MOMENTS_H

#include <stdbool.h>

#define VRING_MOMENT(where) moments_pass(where)

enum moments_side { MOMENTS_DRIVER, MOMENTS_DEVICE, MOMENTS_SIDES };

#define MOMENTS_MAX 64u

/* Make this thread a side; threads that have not joined are never stopped. */
void moments_join(enum moments_side side);

/* Called when a side has reached `where`. */
void moments_pass(const char *where);

/* List the moments passed so far, each once; returns how many. */
unsigned moments_seen(const char *list[MOMENTS_MAX]);

/* Stop each side that passes this moment, each time, until the other side sleeps; NULL: none. */
void moments_stop_at(const char *where);

/* Stop at any moment of both sides, one in `often`, seeded with `seed`; 0: never. */
void moments_stop_anywhere(unsigned often, unsigned seed);

/* Whether both sides sleep, so that only the caller could wake one of them. */
bool moments_all_asleep(void);

#endif
