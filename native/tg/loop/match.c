/* SPDX-License-Identifier: BSD-3-Clause */
#include "match.h"

#include <assert.h>
#include <stdlib.h>

#include "table.h"

#define SLOTS_TOTAL (1u << 18) /* 8 MB, divided among the flows */
#define IDS_MIN 1024u
#define IDS_MAX 65536u
/* All flows advance at about the same rate. If their tables were a power of two apart, the slots in
 * use would compete for a few cache sets; so each table begins five cache lines further on. */
#define SKEW_SLOTS 10u
#define SKIPS_MAX 256u /* resting ids skipped in one take */

static size_t slots_bytes(const struct match *match)
{
    return (size_t)match->nb_flows * (match->nb_ids + SKEW_SLOTS) * sizeof(struct slot);
}

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
    match->look_cycles = 0;
    match->flows = calloc(nb_flows, sizeof(*match->flows));
    match->slots = table_open(slots_bytes(match));
    if (match->flows == NULL || match->slots == NULL)
        return false;
    for (uint32_t i = 0; i < nb_flows; i++)
        match->flows[i].slots = match->slots + (size_t)i * (nb_ids + SKEW_SLOTS);
    return true;
}

void match_close(struct match *match)
{
    free(match->flows);
    table_close(match->slots, slots_bytes(match));
}

/* The rest counts from the loss, which was detected one time-out after the request was sent. */
static bool rests(const struct match *match, const struct slot *slot, uint64_t now)
{
    return (slot_state(slot) == SLOT_LOST || slot_state(slot) == SLOT_LATE) &&
           slot_age(slot, now) < match->timeout_cycles + match->rest_cycles;
}

struct slot *match_take_rest(struct match match, struct match_flow *flow, uint64_t sent_cycles,
                             uint32_t *turn)
{
    for (unsigned skips = 0; skips < SKIPS_MAX; skips++) {
        struct slot *slot = match_slot(&match, flow, flow->next);

        /* This id is a whole round ahead of the oldest in flight: it is not free yet. */
        if (slot_state(slot) == SLOT_IN_FLIGHT)
            return NULL;
        *turn = flow->next++;
        if (!rests(&match, slot, sent_cycles))
            return slot;
    }
    return NULL;
}

/* `now` may be slightly earlier than the slot's send time: the age is then 0. */
static uint64_t age_by(const struct slot *slot, uint64_t now)
{
    return slot_age(slot, now) > SLOT_TIME_MAX / 2 ? 0 : slot_age(slot, now);
}

struct slot *match_expire(struct match *match, uint32_t flow_index, uint64_t now)
{
    struct match_flow *flow = &match->flows[flow_index];

    /* Requests further behind were answered or lost, and their ids are in use again. */
    if (flow->next - flow->oldest > match->nb_ids)
        flow->oldest = flow->next - match->nb_ids;
    for (; flow->oldest != flow->next; flow->oldest++) {
        struct slot *slot = match_slot(match, flow, flow->oldest);

        if (slot_state(slot) != SLOT_IN_FLIGHT)
            continue;
        if (age_by(slot, now) < match->timeout_cycles)
            return NULL;
        slot->word += SLOT_LOST - SLOT_IN_FLIGHT;
        match->nb_in_flight--;
        flow->oldest++;
        return slot;
    }
    return NULL;
}

/* The oldest in flight of every flow is where match_expire stopped. */
void match_look_again(struct match *match, uint64_t now)
{
    uint64_t oldest = 0;

    for (uint32_t i = 0; i < match->nb_flows; i++) {
        const struct match_flow *flow = &match->flows[i];

        if (flow->oldest != flow->next) {
            uint64_t age = age_by(match_slot(match, flow, flow->oldest), now);

            oldest = age > oldest ? age : oldest;
        }
    }
    match->look_cycles = now + match->timeout_cycles - oldest;
}
