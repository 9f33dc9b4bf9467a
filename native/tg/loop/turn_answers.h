/* SPDX-License-Identifier: BSD-3-Clause */
/* The receiving half of a turn, part of turn.h: checks a burst of replies, and finds lost
 * requests. */
#ifndef NEARMETAL_TG_TURN_ANSWERS_H
#define NEARMETAL_TG_TURN_ANSWERS_H

#include "answers.h"

/* Replies that were sent together and received together have the same latency: record them as one
 * entry. */
struct together {
    uint64_t age_cycles, nb;
};

static void together_count(struct loop *loop, const struct together *together)
{
    if (together->nb == 0)
        return;
    loop->counts.answered += together->nb;
    record_add_many(&loop->latency, (uint64_t)((double)together->age_cycles * loop->ns_per_cycle),
                    together->nb);
}

static inline __attribute__((always_inline)) void
answer_take(struct loop *loop, const struct slot *slot, const struct datagram *reply, uint16_t id,
            uint64_t now, struct together *together)
{
    enum verdict verdict = load_check(loop, slot, reply, id);

    load_over(loop, slot, verdict == VERDICT_RIGHT);
    if (__builtin_expect(verdict != VERDICT_RIGHT, 0)) {
        answers_wrong(loop, slot, reply, verdict);
    } else if (slot_counted(slot)) {
        uint64_t age = slot_age(slot, now);

        if (age != together->age_cycles) {
            together_count(loop, together);
            *together = (struct together){.age_cycles = age};
        }
        together->nb++;
    }
    loop_flow_free(loop, reply->flow);
}

/* Return the slot of a reply and set its id. NULL, and id 0: the reply is too short, or no slot has
 * this id. */
static inline struct slot *slot_of(const struct loop *loop, const struct datagram *reply,
                                   uint16_t *id)
{
    if (__builtin_expect(!load_id(loop, reply, id), 0)) {
        *id = 0;
        return NULL;
    }
    return match_find(&loop->match, reply->flow, *id);
}

static inline __attribute__((always_inline)) void reply_take(struct loop *loop, struct slot *slot,
                                                             const struct datagram *reply,
                                                             uint16_t id, uint64_t now,
                                                             struct together *together)
{
    enum slot_state before = slot == NULL ? SLOT_FREE : match_reply(&loop->match, slot);

    if (__builtin_expect(before == SLOT_IN_FLIGHT, 1))
        answer_take(loop, slot, reply, id, now, together);
    else
        answers_stray(loop, slot, before, now);
}

/* Two passes: the first prefetches what the second needs to check the replies. */
static inline void replies_take(struct loop *loop, const struct datagram *replies, unsigned nb,
                                uint64_t now, struct together *together)
{
    struct slot *slots[PORT_BURST_MAX];
    uint16_t ids[PORT_BURST_MAX];

    for (unsigned i = 0; i < nb; i++) {
        slots[i] = slot_of(loop, &replies[i], &ids[i]);
        if (slots[i] != NULL)
            load_expect(loop, slots[i]);
    }
    for (unsigned i = 0; i < nb; i++)
        reply_take(loop, slots[i], &replies[i], ids[i], now, together);
}

/* Match, check and count replies that were received by `now`. */
static void answers_take(struct loop *loop, const struct datagram *replies, unsigned nb,
                         uint64_t now)
{
    struct together together = {0};
    uint32_t nb_free = loop->nb_free;
    uint16_t id;

    if (LOAD_PREFETCHES)
        replies_take(loop, replies, nb, now, &together);
    else
        for (unsigned i = 0; i < nb; i++) {
            struct slot *slot = slot_of(loop, &replies[i], &id);

            reply_take(loop, slot, &replies[i], id, now, &together);
        }
    together_count(loop, &together);
    loop->source.nb_done += loop->nb_free - nb_free;
    if (loop->nb_free != nb_free)
        loop->last_reply_cycles = now;
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
