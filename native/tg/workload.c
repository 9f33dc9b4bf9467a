/* SPDX-License-Identifier: BSD-3-Clause */
#include "workload.h"

#include <assert.h>
#include <string.h>

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
    /* The golden section scatters evenly; the next number without common divisor permutes. */
    workload->step = (uint64_t)(0.6180339887498949 * config->nb_keys) | 1;
    while (divisor(workload->step, config->nb_keys) != 1)
        workload->step++;
    workload->shift = random_next(&workload->random) % config->nb_keys;
    workload->step_part = parts(workload->step, config->nb_keys);
    workload->shift_part = parts(workload->shift, config->nb_keys);
    if (config->zipf > 0)
        zipf_init(&workload->zipf, config->nb_keys, config->zipf);
}

static inline uint32_t key_draw(const struct workload *workload, struct random *random)
{
    if (workload->zipf.nb_segments == 0)
        return workload->first +
               random_scale((uint32_t)(random_next(random) >> 32), workload->nb_keys);
    return workload_key(workload, zipf_draw(&workload->zipf, random));
}

/*
 * COINS tosses of one coin, a bit each: 1 with probability below / 2^32. Of every toss a random
 * number is compared with `below`, its highest bit first, and one random word has a bit for all of
 * them: after some eight words all are decided.
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

static void some_fill(struct workload *workload, struct draw *draws, unsigned nb)
{
    struct random random = workload->random; /* a register, as long as this takes */
    uint64_t sets = coins_toss(&random, workload->below_set);
    uint64_t misses = coins_toss(&random, workload->below_miss) & ~sets;

    for (unsigned i = 0; i < nb; i++, sets >>= 1, misses >>= 1)
        draws[i] = (struct draw){.number = key_draw(workload, &random) +
                                           (workload->nb_all & (0u - (uint32_t)(misses & 1))),
                                 .op = (uint8_t)(sets & 1)};
    workload->random = random;
}
_Static_assert(OP_GET == 0 && OP_SET == 1, "a bit each");

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
