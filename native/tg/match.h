/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which request does this reply answer? A slot per flow and 16-bit id, 16 bytes each.
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
#include <stdint.h>

enum slot_state { SLOT_FREE, SLOT_IN_FLIGHT, SLOT_ANSWERED, SLOT_LOST, SLOT_LATE };

#define SLOT_TIME_BITS 52u
#define SLOT_TIME_MASK ((1ull << SLOT_TIME_BITS) - 1)
#define SLOT_TRIES_MAX 63u

struct slot {
    uint64_t sent_cycles : SLOT_TIME_BITS;
    uint64_t state : 3;   /* enum slot_state */
    uint64_t op : 2;      /* enum op */
    uint64_t tries : 6;   /* how often the same was sent before */
    uint64_t counted : 1; /* sent in the measured time */
    uint32_t number;
    uint32_t version; /* SET: the version it writes; GET: the one acknowledged before it left */
};

struct match_flow {
    uint32_t next;   /* id to hand out next, modulo nb_ids */
    uint32_t oldest; /* none before it is in flight */
};

struct match {
    uint32_t nb_flows;
    uint32_t nb_ids; /* of a flow: a power of two */
    uint32_t nb_in_flight;
    uint64_t timeout_cycles, rest_cycles;
    struct match_flow *flows;
    struct slot *slots; /* nb_flows * nb_ids */
};

/* share: most requests in flight of one flow. False when memory is short. */
bool match_open(struct match *match, uint32_t nb_flows, uint32_t share, uint64_t timeout_cycles,
                uint64_t rest_cycles);
void match_close(struct match *match);

/* Take an id: the slot, SLOT_IN_FLIGHT, with sent_cycles set to now; NULL when none is free. */
struct slot *match_take(struct match *match, uint32_t flow, uint64_t now, uint16_t *id);

/*
 * A reply came. Returns the slot of its id with *before telling what it was: IN_FLIGHT (it is
 * ANSWERED now), LOST (LATE now), ANSWERED or LATE (a duplicate). NULL: never sent.
 */
struct slot *match_reply(struct match *match, uint32_t flow, uint16_t id, enum slot_state *before);

/* The next request of the flow that has timed out by `now`, LOST from here on; NULL: no more. */
struct slot *match_expire(struct match *match, uint32_t flow, uint64_t now);

/* Cycles since the request of this slot left. */
static inline uint64_t slot_age(const struct slot *slot, uint64_t now)
{
    return (now - slot->sent_cycles) & SLOT_TIME_MASK;
}

#endif
