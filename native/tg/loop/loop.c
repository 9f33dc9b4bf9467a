/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"

#define BURST_MIN 32u
#define REST_TIMEOUTS 10u /* a lost id is not used again for ten time-outs (default: 1 s) */

bool loop_init(struct loop *loop, const struct load_type *type, const struct load_config *config)
{
    loop->type = type;
    return type->init(loop, config);
}

bool loop_open(struct loop *loop, const struct loop_config *config)
{
    uint32_t share = (config->window + config->nb_flows - 1) / config->nb_flows;
    uint64_t timeout = (uint64_t)((double)config->timeout_ns * 1e-9 * (double)config->tsc_hz);

    loop->window = config->window;
    loop->burst = config->window / 2 < BURST_MIN ? BURST_MIN : config->window / 2;
    loop->burst = loop->burst < PORT_BURST_MAX ? loop->burst : PORT_BURST_MAX;
    loop->ns_per_cycle = 1e9 / (double)config->tsc_hz;
    loop->free_mask = 1;
    while (loop->free_mask < config->window - 1)
        loop->free_mask = 2 * loop->free_mask + 1;
    loop->free_flows = calloc(loop->free_mask + 1, sizeof(*loop->free_flows));
    record_reset(&loop->latency);
    if (loop->free_flows == NULL ||
        !source_open(&loop->source, &loop->workload, config->window + LOOP_DRAWS) ||
        !loop->type->open(loop) ||
        !match_open(&loop->match, config->nb_flows, share, timeout, REST_TIMEOUTS * timeout))
        return false;
    for (uint32_t i = 0; i < config->window; i++)
        loop_flow_free(loop, i * config->nb_flows / config->window % config->nb_flows);
    return true;
}

void loop_close(struct loop *loop)
{
    match_close(&loop->match);
    source_close(&loop->source);
    if (loop->type != NULL)
        loop->type->close(loop);
    free(loop->free_flows);
}

void loop_unpace(struct loop *loop, uint64_t now)
{
    if (loop->paced)
        pace_stop(loop->pace, now);
    loop->paced = false;
}

void loop_start(struct loop *loop, enum phase phase, bool counted)
{
    uint64_t now = clock_cycles();

    loop_unpace(loop, now);
    loop->paced = loop->pace != NULL && phase == PHASE_MIX;
    if (loop->paced)
        pace_start(loop->pace, now);
    source_start(&loop->source, phase);
    loop->next_draw = loop->end_draws = 0;
    loop->counted = counted;
    loop->phase_lost = loop->phase_wrong = loop->phase_missed = 0;
    loop->gave_up = false;
    if (phase != PHASE_DRAIN) /* its answers belong to the phase before */
        loop->said[0] = '\0';
    loop->last_reply_cycles = loop->round_cycles = loop->turn_cycles = now;
}
