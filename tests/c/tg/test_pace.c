/* SPDX-License-Identifier: BSD-3-Clause */
/* The open loop's schedule, with a simulated clock: a cycle is a nanosecond. */
#include <math.h>
#include <string.h>

#include "clock.h"
#include "../check.h"
#include "pace.h"

#define TIMEOUT_NS 100000000u
#define MS 1000000u

static struct pace pace;

static void begin(double rate, bool poisson, uint64_t seed)
{
    struct pace_config config = {.rate = rate,
                                 .poisson = poisson,
                                 .seed = seed,
                                 .tsc_hz = NS_PER_S,
                                 .timeout_ns = TIMEOUT_NS};

    pace_init(&pace, &config);
    pace_start(&pace, 1000);
}

/* Return the time at which the next request is due. */
static uint64_t next(void)
{
    uint64_t due[1];

    CHECK(pace_look(&pace, pace.due[pace.head], due, 1) == 1);
    pace_leave(&pace, 1);
    return due[0];
}

/* Return how many requests could be sent now; they keep waiting. */
static unsigned look(uint64_t now, unsigned nb)
{
    uint64_t due[PACE_AHEAD];

    return pace_look(&pace, now, due, nb);
}

/* Send all requests that are due by now; return how many. */
static uint32_t leave(uint64_t now)
{
    uint64_t due[PACE_AHEAD];
    uint32_t nb_left = 0;
    unsigned nb;

    while ((nb = pace_look(&pace, now, due, PACE_AHEAD)) > 0) {
        for (unsigned i = 0; i < nb; i++)
            CHECK(due[i] <= now && (i == 0 || due[i] >= due[i - 1]));
        pace_leave(&pace, nb);
        nb_left += nb;
    }
    return nb_left;
}

static void constant_arrivals_are_even(void)
{
    begin(3e6, false, 1); /* 333 1/3 ns: the fraction must not be lost */
    for (uint64_t i = 1; i <= 3000000; i++) {
        uint64_t due = next(), exact = 1000 + i * 1000 / 3;

        CHECK(due + 1 >= exact && due <= exact + 1);
    }
}

static void poisson_arrivals_are_exponential(void)
{
    const uint32_t nb = 2000000;
    double sum = 0, squares = 0;
    uint32_t nb_longer = 0;
    uint64_t before = 1000;

    begin(1e3, true, 7); /* 1 ms */
    for (uint32_t i = 0; i < nb; i++) {
        uint64_t due = next();
        double gap = (double)(due - before) / MS;

        sum += gap;
        squares += gap * gap;
        nb_longer += gap > 3;
        before = due;
    }
    /* The standard errors are 0.0007, 0.0032 and 0.00015. */
    CHECK(fabs(sum / nb - 1) < 0.004);
    CHECK(fabs(squares / nb - 2) < 0.02);
    CHECK(fabs((double)nb_longer / nb - exp(-3)) < 0.001);
}

static void the_seed_makes_the_schedule(void)
{
    uint64_t first[1000];
    unsigned nb_same = 0;

    begin(1e6, true, 7);
    for (unsigned i = 0; i < 1000; i++)
        first[i] = next();
    pace_start(&pace, 1000);
    for (unsigned i = 0; i < 1000; i++)
        CHECK(next() == first[i]);
    begin(1e6, true, 8);
    for (unsigned i = 0; i < 1000; i++)
        nb_same += next() == first[i];
    CHECK(nb_same < 10);
}

/* With frequent polls and enough room every request is sent, and none before its time. */
static void what_is_due_leaves(void)
{
    uint32_t nb_left = 0;

    begin(1e6, true, 3);
    for (uint64_t now = 1000; now <= 1000 + NS_PER_S; now += 500)
        nb_left += leave(now);
    CHECK(nb_left > 994000 && nb_left < 1006000); /* 6 standard deviations */
    CHECK(pace.nb_intended == nb_left && pace.nb_not_sent == 0 && pace.nb_slips == 0);
    CHECK(pace.slipped_cycles <= 500);
}

static void without_room_it_waits_one_ms(void)
{
    begin(1e5, false, 1); /* every 10 us: the first at 11,000 */
    for (uint64_t now = 1000; now <= 11000 + MS; now += 1000)
        CHECK(look(now, 0) == 0);
    CHECK(pace.nb_intended == 0);
    CHECK(look(11000 + MS + 1000, 32) == 32); /* the first is given up */
    CHECK(pace.nb_intended == 1 && pace.nb_not_sent == 1);
    CHECK(pace.due[pace.head] == 21000);
    pace_leave(&pace, 1);
    CHECK(pace.nb_intended == 2 && pace.nb_not_sent == 1);
    CHECK(pace.nb_slips == 0);
}

/* A stall of this program: requests that fell due meanwhile are still sent; the stall is counted.
 */
static void a_stall_is_caught_up_with(void)
{
    uint64_t now = 1000;

    begin(1e5, false, 1);
    for (; now < 5 * MS; now += 1000)
        leave(now);
    CHECK(pace.nb_slips == 0);
    uint64_t nb_before = pace.nb_intended, end = now + 5 * MS;

    CHECK(leave(end) >= 499 && pace.nb_not_sent == 0);
    CHECK(pace.nb_slips == 1 && pace.nb_intended - nb_before <= 501);
    CHECK(pace.slipped_cycles > 5 * MS - 12000 && pace.slipped_cycles <= 5 * MS);
}

/* With the window full after the stall, the 1 ms of patience starts at the end of the stall. */
static void a_stall_does_not_use_up_patience(void)
{
    begin(1e5, false, 1);
    for (uint64_t now = 1000 + 5 * MS; now <= 6 * MS; now += 10000)
        CHECK(look(now, 0) == 0);
    CHECK(pace.nb_not_sent == 0);
    CHECK(look(6 * MS + 10000, 0) == 0);
    CHECK(pace.nb_not_sent == 500); /* not the 101 that became due since */
}

/* Requests that one poll had no room for are not given up because of the next stall. */
static void stalls_in_a_row_are_caught_up_with(void)
{
    begin(1e5, false, 1);
    CHECK(look(1000 + 4 * MS, 64) == 64);
    pace_leave(&pace, 64);
    CHECK(leave(1000 + 8 * MS) == 800 - 64);
    CHECK(pace.nb_not_sent == 0 && pace.nb_slips == 2);
}

/* After a long stall only its last 10 ms are caught up. */
static void a_long_stall_is_cut(void)
{
    begin(1e5, false, 1);
    leave(1000 + 50 * MS);
    CHECK(pace.nb_intended == 5000);
    CHECK(pace.nb_not_sent >= 3998 && pace.nb_not_sent <= 4000); /* all but the last 10 ms */
}

/* Giving up is split into parts, and ends. */
static void a_very_long_stall_is_worked_off(void)
{
    begin(1e7, true, 1);
    for (unsigned i = 0; i < 10000; i++) {
        pace_leave(&pace, look(1000 + NS_PER_S, 32));
    }
    CHECK(pace.nb_slips == 1);
    CHECK(pace.due[pace.head] > 1000 + NS_PER_S);
    CHECK(pace.nb_intended > 9900000 && pace.nb_not_sent > 9700000);
    CHECK(pace.nb_intended - pace.nb_not_sent > 90000); /* 10 ms of them */
}

static void the_end_settles_what_waits(void)
{
    begin(1e5, false, 1);
    for (uint64_t now = 1000; now <= 1000 + MS / 2; now += 1000)
        look(now, 0);
    pace_stop(&pace, 1000 + MS / 2);
    CHECK(pace.nb_intended == 50 && pace.nb_not_sent == 50);
}

int main(void)
{
    constant_arrivals_are_even();
    poisson_arrivals_are_exponential();
    the_seed_makes_the_schedule();
    what_is_due_leaves();
    without_room_it_waits_one_ms();
    a_stall_is_caught_up_with();
    a_stall_does_not_use_up_patience();
    stalls_in_a_row_are_caught_up_with();
    a_long_stall_is_cut();
    a_very_long_stall_is_worked_off();
    the_end_settles_what_waits();
    return 0;
}
