/* SPDX-License-Identifier: BSD-3-Clause */
/* clock, on a machine: the hypervisor's clock if there is one. Otherwise the counter itself: its
 * frequency measured by the interval timer, its time of day read from the PC's real-time clock,
 * until the program that started the machine sends the exact time (clock_told). */
#include "clock.h"

#include <stdbool.h>
#include <stddef.h>

#include "clock_pc.h"
#include "memory.h"
#include "pit.h"
#include "pvclock.h"
#include "rtc.h"
#include "serve.h"
#include "x86.h"

#define NS_PER_S 1000000000ull
#define SHIFT 32u
#define FIRST_TICKS (PIT_HZ / 1000) /* length of the first estimate: 1 ms */
/* If two reads of the timer are further apart than this, it may have wrapped unseen. Every
 * supported processor takes more than 1 ms and less than 55 ms (one wrap) for so many cycles. */
#define STALL_CYCLES 5000000u
#define TIMES_LONGER 20u   /* each further estimate takes this many times longer; see pit.h */
#define LAST_S 300u        /* the last estimate starts before this time */
#define REFRESHES_A_S 10u  /* calls of memory_refresh a second */
#define REFRESHES_SOON 50u /* after this many calls: once a second */

static struct {
    bool is_pvclock;
    uint64_t hz; /* 0: not known yet */
    uint64_t base_tsc, base_ns, mult;
    struct pit_moment first;
    uint64_t refine_tsc; /* when the next estimate is due */
    uint64_t refresh_tsc;
    unsigned nb_refreshes;
} pc = {.refine_tsc = UINT64_MAX};

static volatile uint64_t due_tsc; /* the earlier of refine_tsc and refresh_tsc; 0: at once */

/* Written by an interrupt. */
static volatile struct {
    bool is_new;
    uint64_t tsc, ns;
} told;

const char *clock_open(void)
{
    pc.is_pvclock = pvclock_open();
    if (pc.is_pvclock) {
        pc.hz = pvclock_tsc_hz();
        return NULL;
    }
    if (!pit_open(&pc.first))
        return "the machine has neither KVM's clock nor an interval timer (PIT) to measure the "
               "frequency of its counter";
    pc.base_tsc = pc.first.tsc;
    pc.base_ns = rtc_unix_s() * NS_PER_S; /* 1970 on a machine without a clock */
    return NULL;
}

const char *clock_source(void)
{
    return pc.is_pvclock ? "pvclock" : "pit";
}

static uint64_t ns_of(uint64_t cycles)
{
    return (uint64_t)(((unsigned __int128)cycles * pc.mult) >> SHIFT);
}

static uint64_t ns_at(uint64_t tsc)
{
    return tsc >= pc.base_tsc ? pc.base_ns + ns_of(tsc - pc.base_tsc)
                              : pc.base_ns - ns_of(pc.base_tsc - tsc);
}

/* Use another frequency from `tsc` on. The first call also sets the frequency for all time before
 * it. */
static void set_hz(uint64_t tsc, uint64_t hz)
{
    uint64_t mult = (NS_PER_S << SHIFT) / hz;

    if (pc.hz == 0)
        pc.mult = mult;
    pc.base_ns = ns_at(tsc);
    pc.base_tsc = tsc;
    pc.mult = mult;
    pc.hz = hz;
}

/* Usually enough time has passed since clock_open, so this does not wait. */
uint64_t clock_tsc_hz(void)
{
    for (uint64_t last_tsc = pc.first.tsc; pc.hz == 0;) {
        struct pit_moment now = pit_now();
        if (now.tsc - last_tsc > STALL_CYCLES)
            pc.first = now;
        last_tsc = now.tsc;
        uint32_t ticks = (pc.first.count - now.count) & (PIT_ROUND - 1);
        if (ticks < FIRST_TICKS)
            continue;
        set_hz(now.tsc, pit_first_hz(&pc.first, &now));
        pc.refine_tsc = now.tsc + (now.tsc - pc.first.tsc) * (TIMES_LONGER - 1);
    }
    return pc.hz;
}

static void refine(void)
{
    struct pit_moment now = pit_now();
    uint64_t interval = now.tsc - pc.first.tsc;

    set_hz(now.tsc, pit_better_hz(&pc.first, &now, pc.hz));
    pc.refine_tsc = interval < pc.hz * LAST_S ? pc.first.tsc + interval * TIMES_LONGER : UINT64_MAX;
}

void clock_told(uint64_t unix_ns)
{
    if (pc.is_pvclock)
        return;
    told.tsc = x86_tsc();
    told.ns = unix_ns;
    told.is_new = true;
    due_tsc = 0;
}

/* Move the time forward by as much as the real-time clock was late. */
static void catch_up(void)
{
    uint64_t ns = ns_at(told.tsc);

    told.is_new = false;
    if (told.ns > ns)
        pc.base_ns += told.ns - ns;
}

/* Do all periodic work that is due. */
static void look_after(uint64_t tsc)
{
    if (told.is_new && pc.hz != 0)
        catch_up();
    if (tsc >= pc.refine_tsc)
        refine();
    if (tsc >= pc.refresh_tsc) {
        memory_refresh();
        pc.refresh_tsc = tsc + (pc.nb_refreshes++ < REFRESHES_SOON ? pc.hz / REFRESHES_A_S : pc.hz);
    }
    due_tsc = pc.refine_tsc < pc.refresh_tsc ? pc.refine_tsc : pc.refresh_tsc;
    if (told.is_new) /* an interrupt came in between */
        due_tsc = 0;
}

uint64_t serve_now_ns(void)
{
    static uint64_t last_ns;
    uint64_t tsc = x86_tsc();

    if (__builtin_expect(tsc >= due_tsc, 0))
        look_after(tsc);
    uint64_t ns = pc.is_pvclock ? pvclock_now_ns() : ns_at(tsc > pc.base_tsc ? tsc : pc.base_tsc);
    last_ns = ns > last_ns ? ns : last_ns;
    return last_ns;
}
