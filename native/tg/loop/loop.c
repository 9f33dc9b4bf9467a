/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop.h"

#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "clock.h"

#define REDRAWS_MAX 8u
#define STAMP_STEP 0x9e3779b97f4a7c15u
#define BURST_MIN 32u
#define REST_TIMEOUTS 10u /* a lost id is not used again for ten time-outs (default: 1 s) */

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
        !keys_open(&loop->keys, loop->echo ? 0 : loop->workload.nb_all) ||
        !source_open(&loop->source, &loop->workload, config->window + LOOP_DRAWS) ||
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
    keys_close(&loop->keys);
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
    loop->said[0] = '\0';
    loop->last_reply_cycles = loop->round_cycles = loop->turn_cycles = now;
}

static bool conflicts(const struct loop *loop, const struct draw *draw)
{
    return (draw->op == OP_SET || loop->no_overlap) && keys_setting(&loop->keys, draw->number);
}

/* Draw another key while a SET of the drawn one is in flight; after REDRAWS_MAX draws take the next
 * free key. */
static bool draw_settle(struct loop *loop, struct draw *draw)
{
    for (unsigned i = 0; i < REDRAWS_MAX && conflicts(loop, draw); i++)
        workload_redraw(&loop->workload, draw);
    for (uint32_t i = 0; i < loop->window && conflicts(loop, draw); i++)
        draw->number = workload_next(&loop->workload, draw->number);
    return !conflicts(loop, draw);
}

/* Convert the digits to those of short keys, or in a stamped echo replace them by stamps. Stamps
 * never repeat: an odd step visits all 64-bit numbers. Not inlined, so that the code of other loads
 * stays the same. */
static __attribute__((noinline)) void digits_finish(struct loop *loop, struct digits *digits,
                                                    unsigned nb)
{
    for (unsigned i = 0; i < nb; i++) {
        if (loop->stamped) {
            loop->stamp += STAMP_STEP;
            digits[i] = (struct digits){.high = (uint16_t)loop->stamp, .low = loop->stamp};
        } else {
            digits[i] = format_digits_short(&loop->format, digits[i]);
        }
    }
}

static void digits_fill(struct digits *digits, const struct draw *draws, unsigned nb)
{
    unsigned i = 0;

    for (; i + 2 <= nb; i += 2) {
        uint32_t one = draws[i].number, other = draws[i + 1].number;

        if (__builtin_expect(one >= 100000000 || other >= 100000000, 0)) {
            digits[i] = digits_make(one);
            digits[i + 1] = digits_make(other);
        } else {
            digits_make_pair(one, other, &digits[i]);
        }
    }
    if (i < nb)
        digits[i] = digits_make(draws[i].number);
}

static __attribute__((noinline)) void digits_again(const struct loop *loop, struct digits *digits,
                                                   uint32_t number)
{
    *digits = format_digits(&loop->format, number);
}

/* Draw ahead, so that a key's state is in the cache when its request is made. */
static void draws_refill(struct loop *loop)
{
    uint32_t end = loop->end_draws, begin = end & (LOOP_DRAWS - 1);
    struct draw *draws = &loop->draws[begin];
    unsigned nb = LOOP_DRAWS - begin;

    if (end - loop->next_draw > LOOP_DRAWS / 2)
        return;
    nb = source_fill(&loop->source, draws, nb < LOOP_DRAWS / 2 ? nb : LOOP_DRAWS / 2);
    for (unsigned i = 0; i < nb && loop->keys.nb_keys > 0; i++)
        if (draws[i].number < loop->keys.nb_keys)
            __builtin_prefetch(&loop->keys.versions[draws[i].number], 1);
    digits_fill(&loop->digits[begin], draws, nb);
    if (loop->format.short_keys || loop->stamped)
        digits_finish(loop, &loop->digits[begin], nb);
    loop->end_draws = end + nb;
}

/* Handle a draw without a free id: preload and verify send it later. */
static void draw_put_back(struct loop *loop, const struct draw *draw)
{
    loop->counts.window_limited += loop->counted;
    if (loop->source.phase != PHASE_MIX)
        source_again(&loop->source, *draw);
}

/* Return the version that a SET writes. */
static inline uint32_t set_begin(struct loop *loop, uint32_t number)
{
    loop->nb_sets++;
    return loop->echo ? ++loop->version : keys_set_begin(&loop->keys, number);
}

/* Write a request into its room; returns the version that its slot remembers. */
static inline uint32_t request_write(struct loop *loop, struct datagram *request, uint16_t id,
                                     const struct draw *draw, struct digits digits,
                                     struct keys keys)
{
    uint32_t number = draw->number;
    uint32_t version =
        draw->op == OP_SET ? set_begin(loop, number) : keys_versions(&keys, number).acked;

    request->len =
        format_write(&loop->format, request->data, id, (enum op)draw->op, digits, number, version);
    return version;
}

/*
 * Take slots for up to nb requests, the i-th sent at sent_cycles[i], and write them. Returns how
 * many: fewer if ids or keys are not free. Fields that do not change meanwhile are copied first:
 * otherwise the compiler would read them again after every store to the wire's memory, which might
 * alias them.
 */
static unsigned requests_make(struct loop *loop, struct datagram *requests, unsigned nb,
                              const uint64_t *sent_cycles)
{
    const bool no_overlap = loop->no_overlap;
    const uint64_t counted = slot_what(0, loop->counted);
    const struct match match = loop->match;
    const struct keys keys = loop->keys;
    uint16_t *const flows = loop->free_flows;
    const uint32_t mask = loop->free_mask, free_end = loop->free_head + loop->nb_free;
    uint32_t next = loop->next_draw, head = loop->free_head, nb_back = 0, turn;
    unsigned nb_made = 0;

    for (const uint32_t end = next + nb; next != end; next++) {
        struct draw *draw = &loop->draws[next & (LOOP_DRAWS - 1)];
        struct digits *digits = &loop->digits[next & (LOOP_DRAWS - 1)];
        struct datagram *request = &requests[nb_made];
        struct slot *slot;
        uint16_t flow;

        if (__builtin_expect(draw->op == OP_SET || no_overlap, 0)) {
            const uint32_t number = draw->number;

            if (!draw_settle(loop, draw))
                continue; /* fewer keys than the window: skip it in this turn */
            if (draw->number != number)
                digits_again(loop, digits, draw->number);
        }
        flow = flows[head++ & mask];
        slot = match_take(match, &match.flows[flow], sent_cycles[nb_made], &turn);
        if (__builtin_expect(slot == NULL, 0)) {
            draw_put_back(loop, draw);
            flows[(free_end + nb_back++) & mask] = flow;
            continue;
        }
        slot_leave(slot, sent_cycles[nb_made++], slot_what(draw_asked(draw), false) | counted);
        slot->number = draw->number;
        slot->digits = *digits;
        slot->version = request_write(loop, request, match_id(&match, turn), draw, *digits, keys);
        request->flow = flow;
    }
    loop->next_draw = next;
    loop->free_head = head;
    loop->nb_free = free_end + nb_back - head;
    loop->match.nb_in_flight += nb_made;
    return nb_made;
}

/* Make and send a request in each of nb rooms, the i-th with the send time sent_cycles[i]. Returns
 * how many were sent. */
static unsigned requests_send(struct loop *loop, struct datagram *requests, unsigned nb,
                              const uint64_t *sent_cycles)
{
    uint64_t nb_sets = loop->nb_sets;

    nb = requests_make(loop, requests, nb, sent_cycles);
    if (nb == 0)
        return 0;
    nb_sets = loop->nb_sets - nb_sets;
    if ((int64_t)(sent_cycles[0] + loop->match.timeout_cycles - loop->match.look_cycles) < 0)
        loop->match.look_cycles = sent_cycles[0] + loop->match.timeout_cycles;
    if (loop->counted) {
        loop->counts.sent += nb;
        loop->counts.sets += nb_sets;
        loop->counts.gets += nb - nb_sets;
    }
    port_tx_burst(loop->port, requests, nb);
    return nb;
}

/* Send as many requests as are free, due, and have rooms. */
static void turn_send(struct loop *loop, uint64_t now)
{
    unsigned nb = loop->nb_free < loop->burst ? loop->nb_free : loop->burst;
    struct datagram requests[PORT_BURST_MAX];
    uint64_t sent_cycles[PORT_BURST_MAX];
    uint32_t drawn;

    draws_refill(loop);
    drawn = loop->end_draws - loop->next_draw;
    nb = nb < drawn ? nb : drawn;
    if (loop->paced)
        nb = pace_look(loop->pace, now, sent_cycles, nb);
    else
        for (unsigned i = 0; i < nb; i++)
            sent_cycles[i] = now;
    if (nb == 0)
        return;
    nb = port_lend(loop->port, requests, nb);
    nb = requests_send(loop, requests, nb, sent_cycles);
    if (loop->paced)
        pace_leave(loop->pace, nb);
    draws_refill(loop);
}

uint64_t loop_turn(struct loop *loop)
{
    struct datagram replies[PORT_BURST_MAX];
    uint64_t begin = loop->turn_cycles, received, checked, end;
    bool round = false;
    unsigned nb = port_rx_burst(loop->port, replies, loop->burst, &round);

    received = clock_cycles();
    if (nb > 0)
        answers_take(loop, replies, nb, received);
    if (round)
        answers_round(loop, begin);
    checked = clock_cycles();
    if (loop->nb_free > 0 || loop->paced)
        turn_send(loop, checked);
    end = clock_cycles();
    if (nb > 0)
        loop->cycles.receive += received - begin;
    else
        loop->cycles.empty += received - begin;
    loop->cycles.check += checked - received;
    loop->cycles.send += end - checked;
    loop->turn_cycles = end;
    return end;
}
