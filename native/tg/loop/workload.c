/* SPDX-License-Identifier: BSD-3-Clause */
#include "workload.h"

#include <assert.h>
#include <string.h>

#include "wide.h"

#define COINS 64u

static uint32_t share(double part)
{
    double bits = part * 0x1p32;

    return bits >= UINT32_MAX ? UINT32_MAX : (uint32_t)bits;
}

static uint64_t divisor(uint64_t a, uint64_t b)
{
    while (b != 0) {
        uint64_t rest = a % b;

        a = b;
        b = rest;
    }
    return a;
}

static uint64_t parts(uint64_t x, uint32_t nb_keys)
{
    return (uint64_t)((((unsigned __int128)x << 64) + nb_keys - 1) / nb_keys);
}

void workload_init(struct workload *workload, const struct workload_config *config)
{
    assert(config->nb_keys >= 1 && config->nb_keys <= WORKLOAD_KEYS_MAX);
    memset(workload, 0, sizeof(*workload));
    workload->nb_keys = config->nb_keys;
    workload->first = config->first;
    workload->nb_all = config->nb_all == 0 ? config->nb_keys : config->nb_all;
    assert(workload->first + (uint64_t)workload->nb_keys <= workload->nb_all);
    workload->below_set = share(config->set);
    workload->below_miss = config->set < 1 ? share(config->miss / (1 - config->set)) : 0;
    workload->random.state = config->seed;
    /* The golden ratio spreads ranks evenly; the next step coprime to nb_keys makes a
     * permutation. */
    workload->step = (uint64_t)(0.6180339887498949 * config->nb_keys) | 1;
    while (divisor(workload->step, config->nb_keys) != 1)
        workload->step++;
    workload->shift = random_next(&workload->random) % config->nb_keys;
    workload->step_part = parts(workload->step, config->nb_keys);
    workload->shift_part = parts(workload->shift, config->nb_keys);
    workload->wide = wide_supported();
    if (config->zipf > 0)
        zipf_init(&workload->zipf, config->nb_keys, config->zipf);
}

static inline uint32_t key_uniform(const struct workload *workload, struct random *random)
{
    return workload->first + random_scale((uint32_t)(random_next(random) >> 32), workload->nb_keys);
}

static uint32_t key_draw(const struct workload *workload, struct random *random)
{
    return workload->zipf.nb_segments == 0 ? key_uniform(workload, random)
                                           : workload_number(workload, random);
}

/*
 * Toss one coin COINS times, one bit each: 1 with probability below / 2^32. Each toss compares a
 * random number with `below`, highest bit first. One random word has one bit for all tosses, so
 * about eight words decide all of them.
 */
static uint64_t coins_toss(struct random *random, uint32_t below)
{
    uint64_t yes = 0, open = UINT64_MAX;

    for (; below != 0 && open != 0; below <<= 1) {
        uint64_t word = random_next(random);
        uint64_t one = 0u - (uint64_t)(below >> 31);

        yes |= open & ~word & one;
        open &= word ^ ~one;
    }
    return yes;
}

_Static_assert(OP_GET == 0, "what is not said");

/* Draw the numbers; all are GETs. */
static inline void numbers_fill(const struct workload *workload, struct random *random,
                                struct draw *draws, unsigned nb)
{
    struct random state = *random; /* a copy that stays in a register */
    unsigned i = 0;

    if (workload->zipf.nb_segments == 0)
        for (; i < nb; i++)
            draws[i] = (struct draw){.number = key_uniform(workload, &state)};
    else if (workload->wide)
        while (i + WIDE_DRAWS <= nb)
            i += wide_numbers(workload, &state, draws + i, nb - i);
    if (workload->zipf.nb_segments != 0)
        for (; i < nb; i++)
            draws[i] = (struct draw){.number = workload_number(workload, &state)};
    *random = state;
}

static void some_fill(struct workload *workload, struct draw *draws, unsigned nb)
{
    uint64_t ours = nb == COINS ? UINT64_MAX : (1ull << nb) - 1;
    uint64_t sets = coins_toss(&workload->random, workload->below_set) & ours;
    uint64_t misses = coins_toss(&workload->random, workload->below_miss) & ours & ~sets;

    numbers_fill(workload, &workload->random, draws, nb);
    for (; sets != 0; sets &= sets - 1)
        draws[__builtin_ctzll(sets)].op = OP_SET;
    for (; misses != 0; misses &= misses - 1)
        draws[__builtin_ctzll(misses)].number += workload->nb_all;
}

void workload_fill(struct workload *workload, struct draw *draws, unsigned nb)
{
    for (; nb > COINS; nb -= COINS, draws += COINS)
        some_fill(workload, draws, COINS);
    some_fill(workload, draws, nb);
}

void workload_redraw(struct workload *workload, struct draw *draw)
{
    uint32_t base = draw->number < workload->nb_all ? 0 : workload->nb_all;

    draw->number = base + key_draw(workload, &workload->random);
}
