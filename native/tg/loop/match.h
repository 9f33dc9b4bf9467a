/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which request does this reply answer? A slot per flow and 16-bit id, 32 bytes each.
 *
 * Ids of a flow are handed out in turn, so requests in flight lie side by side in the order they
 * left: what has timed out is found from the oldest on, and an answered id comes up again only
 * after all the others (until then a second reply is known as a duplicate). An id whose request was
 * lost rests, and is skipped, until a late reply is not to be expected any more.
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

/* One word, written whole: the lowest bits tell the state, then what was asked, then when. */
#define SLOT_STATE 7u
#define SLOT_COUNTED 8u
#define SLOT_ASKED_SHIFT 4u  /* op, then tries: as a draw has them (workload.h) */
#define SLOT_TRIES_SHIFT 12u /* 6 bits */
#define SLOT_TIME_SHIFT 18u
#define SLOT_TIME_MAX (UINT64_MAX >> SLOT_TIME_SHIFT)

struct slot {
    uint64_t word;
    uint32_t number;
    uint32_t version;     /* SET: the version it writes; GET: the one acknowledged before it left */
    struct digits digits; /* of the number */
};
_Static_assert(sizeof(struct slot) == 32, "two to a cache line");

/* What a slot is to remember. asked: op, and 256 times how often the same was sent before; counted:
 * it is sent in the measured time. */
static inline uint64_t slot_what(uint16_t asked, bool counted)
{
    return (uint64_t)asked << SLOT_ASKED_SHIFT | (counted ? SLOT_COUNTED : 0);
}

/* Its request leaves: `what` is to be remembered (slot_what). */
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

/* Cycles since the request of this slot left. */
static inline uint64_t slot_age(const struct slot *slot, uint64_t now)
{
    return (now - (slot->word >> SLOT_TIME_SHIFT)) & SLOT_TIME_MAX;
}

struct match_flow {
    struct slot *slots; /* nb_ids */
    uint32_t next;      /* id to hand out next, modulo nb_ids */
    uint32_t oldest;    /* none before it is in flight; may be more than a round of ids behind */
};

struct match {
    uint32_t nb_flows;
    uint32_t nb_ids; /* of a flow: a power of two */
    uint32_t nb_in_flight;
    uint64_t timeout_cycles, rest_cycles;
    uint64_t look_cycles; /* none in flight can have timed out before this */
    struct match_flow *flows;
    struct slot *slots; /* of all flows */
};

/* share: most requests in flight of one flow. False when memory is short. */
bool match_open(struct match *match, uint32_t nb_flows, uint32_t share, uint64_t timeout_cycles,
                uint64_t rest_cycles);
void match_close(struct match *match);

/* The next request of the flow that has timed out by `now`, LOST from here on; NULL: no more. */
struct slot *match_expire(struct match *match, uint32_t flow, uint64_t now);

/* False: no request of any flow has timed out by `now`, so there is nothing to expire. */
static inline bool match_may_expire(const struct match *match, uint64_t now)
{
    return (int64_t)(now - match->look_cycles) >= 0;
}

/* All that had timed out by `now` was expired: when is it worth looking again? */
void match_look_again(struct match *match, uint64_t now);

static inline struct slot *match_slot(const struct match *match, const struct match_flow *flow,
                                      uint32_t turn)
{
    return &flow->slots[turn & (match->nb_ids - 1)];
}

/* match_take where the next id is not simply free. */
struct slot *match_take_rest(struct match match, struct match_flow *flow, uint64_t sent_cycles,
                             uint32_t *turn);

/*
 * Take an id of the flow, that of *turn: its slot, or NULL when none is free. The caller makes it
 * IN_FLIGHT (slot_leave) and counts it in nb_in_flight. match: by value, so that it can stay in
 * registers while a burst is written.
 */
static inline struct slot *match_take(struct match match, struct match_flow *flow,
                                      uint64_t sent_cycles, uint32_t *turn)
{
    struct slot *slot = match_slot(&match, flow, flow->next);
    enum slot_state state = slot_state(slot);

    __builtin_prefetch(slot + 8, 1); /* the ids of four lines ahead */
    if (__builtin_expect(state != SLOT_ANSWERED && state != SLOT_FREE, 0))
        return match_take_rest(match, flow, sent_cycles, turn);
    *turn = flow->next++;
    return slot;
}

static inline uint16_t match_id(const struct match *match, uint32_t turn)
{
    return (uint16_t)(turn & (match->nb_ids - 1));
}

/* The slot of an id that came with a reply; NULL where there is no such id. */
static inline struct slot *match_find(const struct match *match, uint32_t flow, uint16_t id)
{
    return id < match->nb_ids ? &match->flows[flow].slots[id] : NULL;
}

/*
 * A reply to this slot's id came. Returns what it was before: IN_FLIGHT (it is ANSWERED now), LOST
 * (LATE now), ANSWERED or LATE (a duplicate), FREE (never sent).
 */
static inline enum slot_state match_reply(struct match *match, struct slot *slot)
{
    enum slot_state before = slot_state(slot);

    if (__builtin_expect(before == SLOT_IN_FLIGHT, 1)) {
        slot->word += SLOT_ANSWERED - SLOT_IN_FLIGHT;
        match->nb_in_flight--;
    } else if (before == SLOT_LOST) {
        slot->word += SLOT_LATE - SLOT_LOST;
    }
    return before;
}

#endif
