/* SPDX-License-Identifier: BSD-3-Clause */
#include "match.h"

#include <assert.h>
#include <stdlib.h>

#define SLOTS_TOTAL (1u << 18) /* 4 MB, shared out among the flows */
#define IDS_MIN 1024u
#define IDS_MAX 65536u
#define SKIPS_MAX 256u /* resting ids passed over in one take */

bool match_open(struct match *match, uint32_t nb_flows, uint32_t share, uint64_t timeout_cycles,
                uint64_t rest_cycles)
{
    uint32_t nb_ids = IDS_MIN;

    assert(nb_flows >= 1 && share >= 1);
    while (nb_ids < IDS_MAX && (nb_ids * nb_flows < SLOTS_TOTAL || nb_ids < 16 * share))
        nb_ids *= 2;
    match->nb_flows = nb_flows;
    match->nb_ids = nb_ids;
    match->nb_in_flight = 0;
    match->timeout_cycles = timeout_cycles;
    match->rest_cycles = rest_cycles;
    match->flows = calloc(nb_flows, sizeof(*match->flows));
    match->slots = calloc((size_t)nb_flows * nb_ids, sizeof(*match->slots));
    return match->flows != NULL && match->slots != NULL;
}

void match_close(struct match *match)
{
    free(match->flows);
    free(match->slots);
}

static struct slot *slot_at(struct match *match, uint32_t flow, uint32_t turn)
{
    return &match->slots[(size_t)flow * match->nb_ids + (turn & (match->nb_ids - 1))];
}

/* Resting counts from the loss, which was noticed a time-out after the request had left. */
static bool rests(const struct match *match, const struct slot *slot, uint64_t now)
{
    return (slot->state == SLOT_LOST || slot->state == SLOT_LATE) &&
           slot_age(slot, now) < match->timeout_cycles + match->rest_cycles;
}

struct slot *match_take(struct match *match, uint32_t flow_index, uint64_t now, uint16_t *id)
{
    struct match_flow *flow = &match->flows[flow_index];

    for (unsigned skips = 0; skips < SKIPS_MAX; skips++) {
        struct slot *slot = slot_at(match, flow_index, flow->next);

        /* A whole round ahead of the oldest in flight: its id is not to be had yet. */
        if (slot->state == SLOT_IN_FLIGHT)
            return NULL;
        if (flow->next - flow->oldest == match->nb_ids)
            flow->oldest++; /* it was answered or lost, and is about to be used anew */
        flow->next++;
        if (rests(match, slot, now))
            continue;
        *id = (uint16_t)((flow->next - 1) & (match->nb_ids - 1));
        slot->state = SLOT_IN_FLIGHT;
        slot->sent_cycles = now & SLOT_TIME_MASK;
        match->nb_in_flight++;
        return slot;
    }
    return NULL;
}

struct slot *match_reply(struct match *match, uint32_t flow, uint16_t id, enum slot_state *before)
{
    struct slot *slot;

    if (id >= match->nb_ids)
        return NULL;
    slot = slot_at(match, flow, id);
    *before = (enum slot_state)slot->state;
    if (*before == SLOT_FREE)
        return NULL;
    if (*before == SLOT_IN_FLIGHT) {
        slot->state = SLOT_ANSWERED;
        match->nb_in_flight--;
    } else if (*before == SLOT_LOST) {
        slot->state = SLOT_LATE;
    }
    return slot;
}

struct slot *match_expire(struct match *match, uint32_t flow_index, uint64_t now)
{
    struct match_flow *flow = &match->flows[flow_index];

    for (; flow->oldest != flow->next; flow->oldest++) {
        struct slot *slot = slot_at(match, flow_index, flow->oldest);

        if (slot->state != SLOT_IN_FLIGHT)
            continue;
        /* `now` may be a little older than the slot: that is no age at all. */
        if (slot_age(slot, now) < match->timeout_cycles || slot_age(slot, now) > SLOT_TIME_MASK / 2)
            return NULL;
        slot->state = SLOT_LOST;
        match->nb_in_flight--;
        flow->oldest++;
        return slot;
    }
    return NULL;
}
