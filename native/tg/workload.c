/* SPDX-License-Identifier: BSD-3-Clause */
#include "workload.h"

#include <assert.h>
#include <string.h>

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

void workload_init(struct workload *workload, const struct workload_config *config)
{
    assert(config->nb_keys >= 1 && config->nb_keys <= WORKLOAD_KEYS_MAX);
    memset(workload, 0, sizeof(*workload));
    workload->nb_keys = config->nb_keys;
    workload->first = config->first;
    workload->nb_all = config->nb_all == 0 ? config->nb_keys : config->nb_all;
    assert(workload->first + (uint64_t)workload->nb_keys <= workload->nb_all);
    workload->below_set = share(config->set);
    workload->below_miss = share(config->set + config->miss);
    workload->random.state = config->seed;
    /* The golden section scatters evenly; the next number without common divisor permutes. */
    workload->step = (uint64_t)(0.6180339887498949 * config->nb_keys) | 1;
    while (divisor(workload->step, config->nb_keys) != 1)
        workload->step++;
    workload->reciprocal = UINT64_MAX / config->nb_keys;
    workload->shift = random_next(&workload->random) % config->nb_keys;
    if (config->zipf > 0)
        zipf_init(&workload->zipf, config->nb_keys, config->zipf);
}

/* x mod nb_keys without a division: for x < 2^62 the quotient is at most 1 too small. */
static inline uint32_t key_wrap(const struct workload *workload, uint64_t x)
{
    uint64_t quotient = (uint64_t)(((unsigned __int128)x * workload->reciprocal) >> 64);
    uint64_t rest = x - quotient * workload->nb_keys;

    return (uint32_t)(rest >= workload->nb_keys ? rest - workload->nb_keys : rest);
}

static inline uint32_t key_draw(const struct workload *workload, struct random *random)
{
    if (workload->zipf.nb_segments == 0)
        return random_scale((uint32_t)(random_next(random) >> 32), workload->nb_keys);
    return key_wrap(workload,
                    zipf_draw(&workload->zipf, random) * workload->step + workload->shift);
}

void workload_fill(struct workload *workload, struct draw *draws, unsigned nb)
{
    struct random random = workload->random; /* a register, as long as this takes */

    for (unsigned i = 0; i < nb; i++) {
        uint32_t bits = (uint32_t)(random_next(&random) >> 32);
        bool set = bits < workload->below_set;
        bool miss = !set && bits < workload->below_miss;

        draws[i] = (struct draw){.number = workload->first + key_draw(workload, &random) +
                                           (miss ? workload->nb_all : 0),
                                 .op = set ? OP_SET : OP_GET};
    }
    workload->random = random;
}

void workload_redraw(struct workload *workload, struct draw *draw)
{
    uint32_t base = draw->number < workload->nb_all ? 0 : workload->nb_all;

    draw->number = base + workload->first + key_draw(workload, &workload->random);
}
