/* SPDX-License-Identifier: BSD-3-Clause */
#include "answers.h"

#define TRIES_MAX 16u /* sends of one request where each is sent once */
_Static_assert(SLOT_TRIES_MAX >= TRIES_MAX, "a slot can count the tries");

/* Keep the first wrong answer of a phase: an error message may quote it. */
static void said_keep(struct loop *loop, const struct slot *slot, const struct datagram *reply)
{
    uint32_t n = 0;

    if (loop->said[0] != '\0')
        return;
    if (loop->type->say != NULL) {
        loop->type->say(loop, slot, reply, loop->said);
        return;
    }
    for (uint32_t i = FRAME_BYTES; i < reply->len && n < LOOP_SAID_BYTES - 1; i++) {
        uint8_t c = ((const volatile uint8_t *)reply->data)[i]; /* the server may be changing it */

        if (c == '\r' || c == '\n')
            break;
        loop->said[n++] = c < 32 || c > 126 ? '.' : (char)c;
    }
    loop->said[n] = '\0';
}

void answers_wrong(struct loop *loop, const struct slot *slot, const struct datagram *reply,
                   enum verdict verdict)
{
    if (slot_counted(slot)) {
        loop->counts.wrong++;
        loop->counts.stale += verdict == VERDICT_STALE;
        loop->counts.unexpected_miss += verdict == VERDICT_UNEXPECTED_MISS;
    }
    loop->phase_missed += verdict == VERDICT_UNEXPECTED_MISS;
    loop->phase_wrong++;
    if (loop->source.phase == PHASE_BEFORE)
        loop->source.nb_once = loop->source.next; /* the state is not what the next ones need */
    said_keep(loop, slot, reply);
}

/* A reply to an id that was never sent does not update last_reply_cycles:
 * otherwise a silent target could look like one that answers. */
void answers_stray(struct loop *loop, const struct slot *slot, enum slot_state before, uint64_t now)
{
    if (before == SLOT_FREE) {
        loop->counts.unmatched += loop->counted;
        return;
    }
    loop->last_reply_cycles = now;
    if (before == SLOT_LOST)
        loop->counts.late += slot_counted(slot);
    else
        loop->counts.duplicate += slot_counted(slot);
}

/* Whether the target answers at all: only then does a loss count as a failed try. */
static bool target_answers(const struct loop *loop)
{
    return (int64_t)(loop->round_cycles - loop->last_reply_cycles) <
           (int64_t)loop->match.timeout_cycles;
}

void answers_lost(struct loop *loop, const struct slot *slot, uint32_t flow)
{
    struct draw again = {
        .number = slot->number, .op = (uint8_t)slot_op(slot), .tries = (uint8_t)slot_tries(slot)};

    loop->counts.lost += slot_counted(slot);
    loop->phase_lost++;
    if (phase_once(loop->source.phase)) {
        if (target_answers(loop) && ++again.tries >= TRIES_MAX)
            loop->gave_up = true;
        source_again(&loop->source, again);
    }
    loop_flow_free(loop, flow);
}
