/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long to poll before a sleep, with frames that arrive by a plan: no clock, only numbers. A
 * rest begins when the previous frame was answered; times are in ns.
 */
#include "../check.h"
#include "polling.h"

#define HZ 1000000000ull
#define FIRST 10000u /* ns */
#define MOST 50000u
#define US 1000u
#define MS 1000000u

/* The cost of a plan. */
struct bill {
    uint64_t nb_rests, nb_sleeps;
    uint64_t polled_ns, widest_ns;
};

static void rest(struct polling *polling, struct bill *bill, uint64_t gap_ns, bool is_woken)
{
    bool sleeps = gap_ns >= polling->window;

    CHECK(polling->window <= MOST);
    CHECK(polling_is_over(polling, polling->window));
    CHECK(polling->window == 0 || !polling_is_over(polling, polling->window - 1));
    bill->nb_rests++;
    bill->nb_sleeps += sleeps;
    bill->polled_ns += sleeps ? polling->window : gap_ns;
    bill->widest_ns = polling->window > bill->widest_ns ? polling->window : bill->widest_ns;
    if (sleeps)
        polling_learn(polling, gap_ns, is_woken);
}

static struct bill evenly(struct polling *polling, unsigned nb, uint64_t gap_ns)
{
    struct bill bill = {0};

    for (unsigned i = 0; i < nb; i++)
        rest(polling, &bill, gap_ns, true);
    return bill;
}

/* An almost idle server does not poll in vain: its window stays 0. */
static void test_seldom(void)
{
    struct polling polling;

    polling_open(&polling, HZ);
    struct bill bill = evenly(&polling, 1000, MS);
    CHECK(bill.nb_sleeps == 1000 && bill.polled_ns == 0);
    bill = evenly(&polling, 1000, MOST + 1);
    CHECK(bill.nb_sleeps == 1000 && bill.polled_ns == 0);
}

/* A busy server sleeps a few times, and then no more. */
static void test_often(void)
{
    struct polling polling;

    for (uint64_t gap_ns = 1; gap_ns < MOST; gap_ns += US) {
        polling_open(&polling, HZ);
        struct bill bill = evenly(&polling, 1000, gap_ns);
        CHECK(bill.nb_sleeps >= 1 && bill.nb_sleeps <= 4); /* 0, 10, 20, 40 us */
        CHECK(evenly(&polling, 1000, gap_ns).nb_sleeps == 0);
    }
}

/* When the load ends, one window is polled in vain; when it returns, the window opens soon. */
static void test_comes_and_goes(void)
{
    struct polling polling;

    polling_open(&polling, HZ);
    for (unsigned i = 0; i < 100; i++) {
        struct bill busy = evenly(&polling, 10000, 5 * US), idle = evenly(&polling, 100, 10 * MS);
        CHECK(busy.nb_sleeps == 1 && busy.widest_ns == FIRST);
        CHECK(idle.polled_ns == FIRST && idle.nb_sleeps == 100);
    }
}

/* Random gaps, one in ten short: the time polled in vain stays within the cost of the sleeps. */
static void test_at_random(void)
{
    struct polling polling;
    struct bill bill = {0};
    uint64_t random = 1;

    polling_open(&polling, HZ);
    for (unsigned i = 0; i < 100000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t number = random >> 33;
        rest(&polling, &bill, number % 10 == 0 ? number % MOST : MOST + number % MS, true);
    }
    CHECK(bill.polled_ns < bill.nb_sleeps * FIRST / 4);
    CHECK(bill.nb_sleeps > bill.nb_rests * 9 / 10);
}

/* A sleep that ended by its time-out does not show when the frame arrived. */
static void test_sleep_times_out(void)
{
    struct polling polling;
    struct bill bill = {0};

    polling_open(&polling, HZ);
    rest(&polling, &bill, 150 * US, false);
    for (unsigned i = 0; i < 100; i++) {
        CHECK(polling.window == MOST);
        rest(&polling, &bill, 150 * US, false);
    }
    CHECK(polling.window == MOST);
    rest(&polling, &bill, 150 * US, true);
    CHECK(polling.window == 0);
}

int main(void)
{
    test_seldom();
    test_often();
    test_comes_and_goes();
    test_at_random();
    test_sleep_times_out();
    return 0;
}
