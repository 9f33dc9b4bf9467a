/* SPDX-License-Identifier: BSD-3-Clause */
#include "pace.h"

#include <assert.h>
#include <math.h>

#define GIVE_UPS_MAX 4096u   /* at most so many at once: giving up takes time too */
#define BACKLOG_CATCH_UPS 4u /* how long a backlog may last, in PACE_CATCH_UP_NS */

static uint64_t cycles_of(uint64_t ns, uint64_t tsc_hz)
{
    return (uint64_t)((double)ns * 1e-9 * (double)tsc_hz);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void pace_init(struct pace *pace, const struct pace_config *config)
{
    *pace = (struct pace){.poisson = config->poisson, .seed = config->seed};
    assert(config->rate >= PACE_RATE_MIN && config->rate <= PACE_RATE_MAX);
    pace->interval = (uint64_t)((double)config->tsc_hz / config->rate * 0x1p32);
    pace->wait_cycles = cycles_of(least(PACE_WAIT_NS, config->timeout_ns / 4), config->tsc_hz);
    pace->catch_up_cycles =
        cycles_of(least(PACE_CATCH_UP_NS, config->timeout_ns / 4), config->tsc_hz);
    pace->slip_cycles = cycles_of(PACE_SLIP_NS, config->tsc_hz);
    for (unsigned i = 0; i <= PACE_LOG_STEPS; i++)
        pace->minus_log[i] = (uint64_t)(-log(0.5 + 0.5 * i / PACE_LOG_STEPS) * 0x1p32);
}

/*
 * Draw an exponentially distributed number of mean 1, 32 bits of fraction: -ln(u), u uniform in (0,
 * 1]. u = x / 2^zeros with 1/2 <= x < 1; ln(x) is interpolated linearly in a table, with an error
 * of at most 2e-6.
 */
static uint64_t exponential(struct pace *pace)
{
    const uint64_t ln2 = 2977044472u; /* with 32 bits of fraction */
    uint64_t bits = random_next(&pace->random) | 1;
    unsigned zeros = (unsigned)__builtin_clzll(bits);
    uint64_t x = bits << zeros;
    uint32_t step = (uint32_t)(x >> 55) & (PACE_LOG_STEPS - 1); /* the bits after the leading 1 */
    uint64_t between = x >> 23 & 0xffffffff;
    uint64_t here = pace->minus_log[step], next = pace->minus_log[step + 1];

    return zeros * ln2 + here - ((here - next) * between >> 32);
}

static void ahead_fill(struct pace *pace)
{
    while (pace->nb_ready < PACE_AHEAD) {
        unsigned __int128 gap = pace->interval;

        if (pace->poisson)
            gap = gap * exponential(pace) >> 32;
        pace->last_due += gap;
        pace->due[(pace->head + pace->nb_ready++) % PACE_AHEAD] = (uint64_t)(pace->last_due >> 32);
    }
}

void pace_start(struct pace *pace, uint64_t now)
{
    pace->random.state = pace->seed;
    pace->last_due = (unsigned __int128)now << 32;
    pace->looked_cycles = pace->left_cycles = pace->stall_end = now;
    pace->catching_up = false;
    pace->head = pace->nb_ready = 0;
    pace_forget(pace);
    ahead_fill(pace);
}

static void take(struct pace *pace, unsigned nb)
{
    assert(nb <= pace->nb_ready);
    pace->head = (pace->head + nb) % PACE_AHEAD;
    pace->nb_ready -= nb;
    pace->nb_intended += nb;
    if (pace->nb_ready == 0)
        ahead_fill(pace);
}

void pace_leave(struct pace *pace, unsigned nb)
{
    if (nb > 0)
        pace->left_cycles = pace->looked_cycles;
    take(pace, nb);
}

static void give_up(struct pace *pace)
{
    take(pace, 1);
    pace->nb_not_sent++;
}

/* Latest time at which a request may be sent. */
static uint64_t deadline(const struct pace *pace, uint64_t due)
{
    uint64_t since = pace->left_cycles > pace->stall_end ? pace->left_cycles : pace->stall_end;

    if (!pace->catching_up || (int64_t)(pace->stall_end - due) > (int64_t)pace->catch_up_cycles)
        return due + pace->wait_cycles;
    return (since > due ? since : due) + pace->wait_cycles;
}

/* Note how late this look is: the first request that became due since the last look measures it. */
static void slip_note(struct pace *pace, uint64_t now)
{
    uint64_t head = pace->due[pace->head];
    uint64_t since = head > pace->looked_cycles ? head : pace->looked_cycles;

    pace->looked_cycles = now;
    if (since >= now)
        return;
    if (now - since > pace->slipped_cycles)
        pace->slipped_cycles = now - since;
    if (now - since > pace->slip_cycles) {
        pace->nb_slips++;
        pace->catching_up = true;
        pace->stall_end = now;
    }
}

/* The backlog ends with its last request; a backlog that lasts is the target's. */
static void backlog_note(struct pace *pace, uint64_t now)
{
    if (pace->due[pace->head] > now ||
        now - pace->stall_end > BACKLOG_CATCH_UPS * pace->catch_up_cycles)
        pace->catching_up = false;
}

unsigned pace_look(struct pace *pace, uint64_t now, uint64_t *due, unsigned nb)
{
    unsigned nb_due = 0;

    slip_note(pace, now);
    for (unsigned i = 0; i < GIVE_UPS_MAX && deadline(pace, pace->due[pace->head]) < now; i++)
        give_up(pace);
    ahead_fill(pace);
    if (pace->catching_up)
        backlog_note(pace, now);
    for (; nb_due < nb && nb_due < PACE_AHEAD; nb_due++) {
        due[nb_due] = pace->due[(pace->head + nb_due) % PACE_AHEAD];
        if (due[nb_due] > now)
            break;
    }
    return nb_due;
}

void pace_stop(struct pace *pace, uint64_t now)
{
    slip_note(pace, now); /* the last look: a stall until the end is a slip, too */
    while (pace->due[pace->head] <= now)
        give_up(pace);
}
