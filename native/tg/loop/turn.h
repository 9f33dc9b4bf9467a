/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A turn of the loop, and its sending half. loop_<name>.c includes load_<name>.h and then this: one
 * turn for each load, with the load's functions inlined (load_type.h). Receiving half:
 * turn_answers.h.
 */
#ifndef NEARMETAL_TG_TURN_H
#define NEARMETAL_TG_TURN_H

#include "clock.h"
#include "loop.h"
#include "turn_answers.h"

#define AHEAD_EACH 4u /* replies that are fetched ahead, after as many requests */

/* Draw ahead, so that what a load prefetches is in the cache when its request is made. */
static void draws_refill(struct loop *loop)
{
    uint32_t end = loop->end_draws, begin = end & (LOOP_DRAWS - 1);
    unsigned nb = LOOP_DRAWS - begin;

    if (end - loop->next_draw > LOOP_DRAWS / 2)
        return;
    nb = source_fill(&loop->source, &loop->draws[begin], nb < LOOP_DRAWS / 2 ? nb : LOOP_DRAWS / 2);
    load_draws(loop, begin, nb);
    loop->end_draws = end + nb;
}

/* Handle a draw without a free id: where each request is sent once, it is sent later. */
static void draw_put_back(struct loop *loop, const struct draw *draw)
{
    loop->counts.window_limited += loop->counted;
    if (loop->source.phase != PHASE_MIX)
        source_again(&loop->source, *draw);
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
    const uint64_t counted = slot_what(0, loop->counted);
    const struct match match = loop->match;
    const struct load_fixed fixed = load_fixed(loop);
    uint16_t *const flows = loop->free_flows;
    const uint32_t mask = loop->free_mask, free_end = loop->free_head + loop->nb_free;
    uint32_t next = loop->next_draw, head = loop->free_head, nb_back = 0, turn;
    struct datagram *request = requests;
    unsigned nb_made;

    for (const uint32_t end = next + nb; next != end; next++) {
        const unsigned at = next & (LOOP_DRAWS - 1);
        const struct draw *draw = &loop->draws[at];
        struct slot *slot;
        uint16_t flow;

        if (at % AHEAD_EACH == 0)
            port_ahead(loop->port, AHEAD_EACH);
        if (!load_settle(loop, &fixed, at))
            continue; /* such as fewer keys than the window: skip it in this turn */
        flow = flows[head++ & mask];
        slot = match_take(match, &match.flows[flow], *sent_cycles, &turn);
        if (__builtin_expect(slot == NULL, 0)) {
            draw_put_back(loop, draw);
            flows[(free_end + nb_back++) & mask] = flow;
            continue;
        }
        slot_leave(slot, *sent_cycles++, slot_what(draw_asked(draw), false) | counted);
        request->len = load_write(loop, &fixed, slot, at, match_id(&match, turn), request->data);
        request->flow = flow;
        request++;
    }
    nb_made = (unsigned)(request - requests);
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

/* Do one turn; returns the time. */
static inline uint64_t turn_do(struct loop *loop)
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

#endif
