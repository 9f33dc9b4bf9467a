/* SPDX-License-Identifier: BSD-3-Clause */
/* The receiving half of a turn, part of turn.h: checks a burst of replies, and finds lost
 * requests. */
#ifndef NEARMETAL_TG_TURN_ANSWERS_H
#define NEARMETAL_TG_TURN_ANSWERS_H

#include "answers.h"

/*
 * What is known of a burst of replies. Replies that were sent together and received together have
 * the same latency: they are recorded as one entry. All of it stays in registers, so fields of the
 * loop are copied, and the loop gets the counts once a burst.
 */
struct taking {
    uint64_t now;
    uint64_t sent, nb; /* so many right answers in a row were sent then, as slots note it */
    uint16_t *flows;   /* loop->free_flows, filled up to `end` */
    uint32_t mask, end;
    uint32_t nb_ids;
    const struct match_flow *match_flows;
};

static inline struct taking taking_begin(const struct loop *loop, uint64_t now)
{
    return (struct taking){.now = now,
                           .flows = loop->free_flows,
                           .mask = loop->free_mask,
                           .end = loop->free_head + loop->nb_free,
                           .nb_ids = loop->match.nb_ids,
                           .match_flows = loop->match.flows};
}

static void together_count(struct loop *loop, const struct taking *taking)
{
    const uint64_t age = (taking->now - taking->sent) & SLOT_TIME_MAX;

    if (taking->nb == 0)
        return;
    loop->counts.answered += taking->nb;
    record_add_many(&loop->latency, (uint64_t)((double)age * loop->ns_per_cycle), taking->nb);
}

/* All whose flows became free were in flight. */
static inline void taking_end(struct loop *loop, const struct taking *taking)
{
    const uint32_t nb = taking->end - loop->free_head - loop->nb_free;

    together_count(loop, taking);
    if (nb == 0)
        return;
    loop->nb_free += nb;
    assert(loop->nb_free <= loop->window);
    loop->match.nb_in_flight -= nb;
    loop->source.nb_done += nb;
    loop->last_reply_cycles = taking->now;
}

static inline __attribute__((always_inline)) void answer_take(struct loop *loop,
                                                              const struct slot *slot,
                                                              const struct datagram *reply,
                                                              uint16_t id, struct taking *taking)
{
    const enum verdict verdict = load_check(loop, slot, reply, id);

    taking->flows[taking->end++ & taking->mask] = (uint16_t)reply->flow;
    load_over(loop, slot, verdict == VERDICT_RIGHT);
    if (__builtin_expect(verdict != VERDICT_RIGHT, 0)) {
        answers_wrong(loop, slot, reply, verdict);
    } else if (slot_counted(slot)) {
        const uint64_t sent = slot->word >> SLOT_TIME_SHIFT;

        if (sent != taking->sent) {
            together_count(loop, taking);
            taking->sent = sent;
            taking->nb = 0;
        }
        taking->nb++;
    }
}

/* Return the slot of a reply and set its id. NULL, and id 0: the reply is too short, or no slot has
 * this id. */
static inline struct slot *slot_of(const struct loop *loop, const struct taking *taking,
                                   const struct datagram *reply, uint16_t *id)
{
    if (__builtin_expect(!load_id(loop, reply, id), 0)) {
        *id = 0;
        return NULL;
    }
    return *id < taking->nb_ids ? &taking->match_flows[reply->flow].slots[*id] : NULL;
}

static inline __attribute__((always_inline)) void reply_take(struct loop *loop, struct slot *slot,
                                                             const struct datagram *reply,
                                                             uint16_t id, struct taking *taking)
{
    enum slot_state before = slot == NULL ? SLOT_FREE : match_reply(slot);

    if (__builtin_expect(before == SLOT_IN_FLIGHT, 1))
        answer_take(loop, slot, reply, id, taking);
    else
        answers_stray(loop, slot, before, taking->now);
}

/* Two passes: the first prefetches what the second needs to check the replies. */
static inline void replies_take(struct loop *loop, const struct datagram *replies, unsigned nb,
                                struct taking *taking)
{
    struct slot *slots[PORT_BURST_MAX];
    uint16_t ids[PORT_BURST_MAX];

    for (unsigned i = 0; i < nb; i++) {
        slots[i] = slot_of(loop, taking, &replies[i], &ids[i]);
        if (slots[i] != NULL)
            load_expect(loop, slots[i]);
    }
    for (unsigned i = 0; i < nb; i++)
        reply_take(loop, slots[i], &replies[i], ids[i], taking);
}

/* Match, check and count replies that were received by `now`. */
static void answers_take(struct loop *loop, const struct datagram *replies, unsigned nb,
                         uint64_t now)
{
    struct taking taking = taking_begin(loop, now);
    uint16_t id;

    if (LOAD_PREFETCHES)
        replies_take(loop, replies, nb, &taking);
    else
        for (unsigned i = 0; i < nb; i++) {
            struct slot *slot = slot_of(loop, &taking, &replies[i], &id);

            reply_take(loop, slot, &replies[i], id, &taking);
        }
    taking_end(loop, &taking);
}

/*
 * End a round of the port: everything that arrived before the round began has been taken. So a
 * request that had timed out by then is lost, even if this program was interrupted meanwhile. The
 * next round begins at `now`.
 */
static void answers_round(struct loop *loop, uint64_t now)
{
    struct slot *slot;

    if (match_may_expire(&loop->match, loop->round_cycles)) {
        for (uint32_t flow = 0; flow < loop->match.nb_flows; flow++)
            while ((slot = match_expire(&loop->match, flow, loop->round_cycles)) != NULL) {
                load_over(loop, slot, false);
                answers_lost(loop, slot, flow);
            }
        match_look_again(&loop->match, loop->round_cycles);
    }
    loop->round_cycles = now;
}

#endif
