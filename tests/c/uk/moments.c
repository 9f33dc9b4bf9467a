/* SPDX-License-Identifier: BSD-3-Clause */
/* Moments, and the side that is stopped there: see moments.h. */
#include "moments.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../check.h"

#define SLEEPS "about to sleep" /* how the moment before a sleep ends */

static struct {
    atomic_int stat_fd;     /* its thread's file in /proc; 0: not joined */
    atomic_ulong nb_passed; /* moments */
    atomic_bool is_resting; /* the last moment was the one before a sleep */
    atomic_bool is_stopped;
    unsigned random;
} sides[MOMENTS_SIDES];

static _Thread_local int mine = -1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *seen[MOMENTS_MAX];
static atomic_uint nb_seen;
static const char *_Atomic stop_at;
static atomic_uint stop_often;

void moments_join(enum moments_side side)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)gettid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd > 0);
    mine = side;
    atomic_store(&sides[side].stat_fd, fd);
}

/* Whether the kernel reports the thread as not running (proc(5): the state follows the name, which
 * is in brackets). */
static bool is_off_the_core(int side)
{
    char text[256];
    int fd = atomic_load(&sides[side].stat_fd);
    ssize_t nb = fd == 0 ? 0 : pread(fd, text, sizeof(text) - 1, 0);

    if (nb <= 0)
        return false;
    text[nb] = '\0';
    const char *end = strrchr(text, ')');
    return end != NULL && end[2] == 'S';
}

/* Whether a side sleeps, and was not woken meanwhile: a thread that is woken passes a moment before
 * it sleeps again. */
static bool is_asleep(int side, unsigned long *nb_passed)
{
    *nb_passed = atomic_load(&sides[side].nb_passed);
    return atomic_load(&sides[side].is_resting) && is_off_the_core(side) &&
           atomic_load(&sides[side].nb_passed) == *nb_passed;
}

bool moments_all_asleep(void)
{
    unsigned long before, other, after;

    /* The first slept all the time between its two checks, and the second slept at its check. */
    return is_asleep(MOMENTS_DRIVER, &before) && is_asleep(MOMENTS_DEVICE, &other) &&
           is_asleep(MOMENTS_DRIVER, &after) && before == after;
}

static void remember(const char *where)
{
    unsigned nb = atomic_load(&nb_seen);

    for (unsigned i = 0; i < nb; i++) {
        if (strcmp(seen[i], where) == 0)
            return;
    }
    CHECK(pthread_mutex_lock(&lock) == 0);
    CHECK(nb_seen < MOMENTS_MAX);
    seen[nb_seen] = where; /* twice, if both sides pass it at once */
    atomic_fetch_add(&nb_seen, 1);
    CHECK(pthread_mutex_unlock(&lock) == 0);
}

unsigned moments_seen(const char *list[MOMENTS_MAX])
{
    unsigned nb = atomic_load(&nb_seen);

    memcpy(list, seen, nb * sizeof(seen[0]));
    return nb;
}

void moments_stop_at(const char *where)
{
    atomic_store(&stop_at, where);
}

void moments_stop_anywhere(unsigned often, unsigned seed)
{
    for (unsigned i = 0; i < MOMENTS_SIDES; i++)
        sides[i].random = seed * MOMENTS_SIDES + i;
    atomic_store(&stop_often, often);
}

/* Whether stops are still on: at the end of a case all threads continue. */
static bool is_any_stopped(void)
{
    return atomic_load(&stop_at) != NULL || atomic_load(&stop_often) > 0;
}

static bool is_to_stop(const char *where)
{
    const char *chosen = atomic_load(&stop_at);
    unsigned often = atomic_load(&stop_often);

    if (chosen != NULL && strcmp(chosen, where) == 0)
        return true;
    if (often == 0)
        return false;
    sides[mine].random = sides[mine].random * 1103515245u + 12345u;
    return (sides[mine].random >> 16) % often == 0;
}

void moments_pass(const char *where)
{
    size_t length = strlen(where), end = strlen(SLEEPS);
    int other = 1 - mine;
    unsigned long nb;

    if (mine < 0)
        return;
    remember(where);
    atomic_store(&sides[mine].is_resting, false);
    if (is_to_stop(where)) {
        atomic_store(&sides[mine].is_stopped, true);
        while (is_any_stopped() && !is_asleep(other, &nb) && !atomic_load(&sides[other].is_stopped))
            sched_yield();
        atomic_store(&sides[mine].is_stopped, false);
    }
    atomic_store(&sides[mine].is_resting,
                 length > end && strcmp(where + length - end, SLEEPS) == 0);
    atomic_fetch_add(&sides[mine].nb_passed, 1);
}
