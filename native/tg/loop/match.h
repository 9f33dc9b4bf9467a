/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Finds the request that a reply answers. One slot per flow and 16-bit id, 32 bytes each.
 *
 * A flow hands out its ids in sequence, so requests in flight are neighbours, in the order in which
 * they were sent. Time-outs are searched from the oldest on. An answered id is used again only
 * after all others; until then a second reply is detected as a duplicate. The id of a lost request
 * rests: it is skipped until a late reply is no longer possible.
 *
 *     free -> in flight -> answered -> in flight ...
 *                       -> lost -> late
 */
#ifndef NEARMETAL_TG_MATCH_H
#define NEARMETAL_TG_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "words.h"

enum slot_state { SLOT_FREE, SLOT_IN_FLIGHT, SLOT_ANSWERED, SLOT_LOST, SLOT_LATE };

#define SLOT_TRIES_MAX 63u

/* One word, always written whole: the state in the lowest bits, then what was sent, then when. */
#define SLOT_STATE 7u
#define SLOT_COUNTED 8u
#define SLOT_ASKED_SHIFT 4u  /* op, then tries: as in a draw (workload.h) */
#define SLOT_TRIES_SHIFT 12u /* 6 bits */
#define SLOT_TIME_SHIFT 18u
#define SLOT_TIME_MAX (UINT64_MAX >> SLOT_TIME_SHIFT)

struct slot {
    uint64_t word;
    uint32_t number;
    uint32_t version;     /* SET: the version it writes; GET: the one acknowledged before */
    struct digits digits; /* of the number */
};
_Static_assert(sizeof(struct slot) == 32, "two to a cache line");

/* The part of a slot's word that describes its request. asked: op, and 256 times the number of
 * earlier sends; counted: sent in the measured time. */
static inline uint64_t slot_what(uint16_t asked, bool counted)
{
    return (uint64_t)asked << SLOT_ASKED_SHIFT | (counted ? SLOT_COUNTED : 0);
}

/* Mark a request as sent; `what` is from slot_what. */
static inline void slot_leave(struct slot *slot, uint64_t sent_cycles, uint64_t what)
{
    slot->word = sent_cycles << SLOT_TIME_SHIFT | what | SLOT_IN_FLIGHT;
}

static inline enum slot_state slot_state(const struct slot *slot)
{
    return (enum slot_state)(slot->word & SLOT_STATE);
}

static inline unsigned slot_op(const struct slot *slot)
{
    return (unsigned)(slot->word >> SLOT_ASKED_SHIFT & 0xff);
}

static inline unsigned slot_tries(const struct slot *slot)
{
    return (unsigned)(slot->word >> SLOT_TRIES_SHIFT & SLOT_TRIES_MAX);
}

static inline bool slot_counted(const struct slot *slot)
{
    return (slot->word & SLOT_COUNTED) != 0;
}

/* Cycles since the request of this slot was sent. */
static inline uint64_t slot_age(const struct slot *slot, uint64_t now)
{
    return (now - (slot->word >> SLOT_TIME_SHIFT)) & SLOT_TIME_MAX;
}

struct match_flow {
    struct slot *slots; /* nb_ids */
    uint32_t next;      /* next id to hand out, modulo nb_ids */
    uint32_t oldest;    /* no earlier id is in flight; may be more than nb_ids behind `next` */
};

struct match {
    uint32_t nb_flows;
    uint32_t nb_ids; /* of a flow: a power of two */
    uint32_t nb_in_flight;
    uint64_t timeout_cycles, rest_cycles;
    uint64_t look_cycles; /* no request in flight can time out before this */
    struct match_flow *flows;
    struct slot *slots; /* of all flows */
};

/* share: most requests in flight on one flow. False: out of memory. */
bool match_open(struct match *match, uint32_t nb_flows, uint32_t share, uint64_t timeout_cycles,
                uint64_t rest_cycles);
void match_close(struct match *match);

/* Mark the flow's next request that has timed out by `now` as LOST, and return its slot. NULL:
 * there are no more. */
struct slot *match_expire(struct match *match, uint32_t flow, uint64_t now);

/* False: no request of any flow has timed out by `now`, so there is nothing to expire. */
static inline bool match_may_expire(const struct match *match, uint64_t now)
{
    return (int64_t)(now - match->look_cycles) >= 0;
}

/* Compute when the next request can time out, once all that had timed out by `now` are expired. */
void match_look_again(struct match *match, uint64_t now);

static inline struct slot *match_slot(const struct match *match, const struct match_flow *flow,
                                      uint32_t turn)
{
    return &flow->slots[turn & (match->nb_ids - 1)];
}

/* match_take, if the next id is in flight or rests. */
struct slot *match_take_rest(struct match match, struct match_flow *flow, uint64_t sent_cycles,
                             uint32_t *turn);

/*
 * Take an id of the flow: sets *turn, and returns its slot; NULL: no id is free. The caller marks
 * the slot IN_FLIGHT (slot_leave) and adds it to nb_in_flight. match is passed by value, so that it
 * can stay in registers while a burst is written.
 */
static inline struct slot *match_take(struct match match, struct match_flow *flow,
                                      uint64_t sent_cycles, uint32_t *turn)
{
    struct slot *slot = match_slot(&match, flow, flow->next);
    enum slot_state state = slot_state(slot);

    __builtin_prefetch(slot + 8, 1); /* the ids of four cache lines ahead */
    if (__builtin_expect(state != SLOT_ANSWERED && state != SLOT_FREE, 0))
        return match_take_rest(match, flow, sent_cycles, turn);
    *turn = flow->next++;
    return slot;
}

static inline uint16_t match_id(const struct match *match, uint32_t turn)
{
    return (uint16_t)(turn & (match->nb_ids - 1));
}

/* The slot of an id that a reply carries; NULL: there is no such id. */
static inline struct slot *match_find(const struct match *match, uint32_t flow, uint16_t id)
{
    return id < match->nb_ids ? &match->flows[flow].slots[id] : NULL;
}

/*
 * Handle a reply to this slot's id. Returns the state before: IN_FLIGHT (now ANSWERED; the caller
 * takes it from nb_in_flight), LOST (now LATE), ANSWERED or LATE (a duplicate), FREE (never sent).
 */
static inline enum slot_state match_reply(struct slot *slot)
{
    enum slot_state before = slot_state(slot);

    if (__builtin_expect(before == SLOT_IN_FLIGHT, 1)) {
        slot->word += SLOT_ANSWERED - SLOT_IN_FLIGHT;
    } else if (before == SLOT_LOST) {
        slot->word += SLOT_LATE - SLOT_LOST;
    }
    return before;
}

#endif
