/* SPDX-License-Identifier: BSD-3-Clause */
#include "answers.h"

#include "check.h"

#define TRIES_MAX 16u /* sends of one request in preload and verify */
_Static_assert(SLOT_TRIES_MAX >= TRIES_MAX, "a slot can count the tries");

/* Keep the first wrong answer of a phase: an error message may quote it. */
static void said_keep(struct loop *loop, const struct datagram *reply)
{
    uint32_t n = 0;

    if (loop->said[0] != '\0')
        return;
    for (uint32_t i = FRAME_BYTES; i < reply->len && n < LOOP_SAID_BYTES - 1; i++) {
        uint8_t c = ((const volatile uint8_t *)reply->data)[i]; /* the server may be changing it */

        if (c == '\r' || c == '\n')
            break;
        loop->said[n++] = c < 32 || c > 126 ? '.' : (char)c;
    }
    loop->said[n] = '\0';
}

/* In verify: with `adopt` accept any version found and remember it; otherwise only the version that
 * was stored. A miss is never right. */
static enum verdict verify_verdict(struct loop *loop, uint32_t number, uint32_t found,
                                   enum verdict verdict)
{
    if (loop->adopt && found != 0) {
        struct key_versions *versions = &loop->keys.versions[number];

        versions->sent = versions->acked = found;
        return VERDICT_RIGHT;
    }
    return verdict == VERDICT_RIGHT && found == 0 ? VERDICT_UNEXPECTED_MISS : verdict;
}

static inline enum verdict reply_verdict(struct loop *loop, const struct slot *slot,
                                         const struct datagram *reply, uint16_t id)
{
    struct expected expected = {.id = id,
                                .op = (uint8_t)slot_op(slot),
                                .number = slot->number,
                                .digits = slot->digits,
                                .version = slot->version,
                                .acked = slot->version};
    enum verdict verdict;
    uint32_t found;

    if (loop->echo)
        return check_echo(&loop->format, &expected, reply->data, reply->len);
    expected.sent = keys_versions(&loop->keys, slot->number).sent;
    verdict = check_kv(&loop->format, &expected, reply->data, reply->len, &found);
    if (__builtin_expect(loop->source.phase == PHASE_VERIFY, 0) && expected.op == OP_GET)
        return verify_verdict(loop, slot->number, found, verdict);
    return verdict;
}

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

static void wrong_count(struct loop *loop, const struct slot *slot, const struct datagram *reply,
                        enum verdict verdict)
{
    if (slot_counted(slot)) {
        loop->counts.wrong++;
        loop->counts.stale += verdict == VERDICT_STALE;
        loop->counts.unexpected_miss += verdict == VERDICT_UNEXPECTED_MISS;
    }
    loop->phase_missed += verdict == VERDICT_UNEXPECTED_MISS;
    loop->phase_wrong++;
    said_keep(loop, reply);
}

static inline __attribute__((always_inline)) void
answer_take(struct loop *loop, const struct slot *slot, const struct datagram *reply, uint16_t id,
            uint64_t now, struct together *together)
{
    enum verdict verdict = reply_verdict(loop, slot, reply, id);

    if (slot_op(slot) == OP_SET && !loop->echo)
        keys_set_end(&loop->keys, slot->number, verdict == VERDICT_RIGHT);
    if (__builtin_expect(verdict != VERDICT_RIGHT, 0)) {
        wrong_count(loop, slot, reply, verdict);
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

/* Count a reply to a request that is not in flight. A reply to an id that was never sent does not
 * update last_reply_cycles: otherwise a silent target could look like one that answers. */
static void stray_count(struct loop *loop, const struct slot *slot, enum slot_state before,
                        uint64_t now)
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

/* Return the slot of a reply and set its id. NULL, and id 0: the reply is too short, or no slot has
 * this id. */
static inline struct slot *slot_of(const struct loop *loop, const struct datagram *reply,
                                   uint16_t *id)
{
    if (__builtin_expect(reply->len < FRAME_BYTES, 0)) {
        *id = 0;
        return NULL;
    }
    *id = __builtin_bswap16(word_read_short(reply->data));
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
        stray_count(loop, slot, before, now);
}

/* Two passes: the first prefetches the keys' versions, the second checks the replies. */
static void keys_take(struct loop *loop, const struct datagram *replies, unsigned nb, uint64_t now,
                      struct together *together)
{
    struct slot *slots[PORT_BURST_MAX];
    uint16_t ids[PORT_BURST_MAX];

    for (unsigned i = 0; i < nb; i++) {
        slots[i] = slot_of(loop, &replies[i], &ids[i]);
        if (slots[i] != NULL && slots[i]->number < loop->keys.nb_keys)
            __builtin_prefetch(&loop->keys.versions[slots[i]->number]);
    }
    for (unsigned i = 0; i < nb; i++)
        reply_take(loop, slots[i], &replies[i], ids[i], now, together);
}

void answers_take(struct loop *loop, const struct datagram *replies, unsigned nb, uint64_t now)
{
    struct together together = {0};
    uint32_t nb_free = loop->nb_free;
    uint16_t id;

    if (!loop->echo)
        keys_take(loop, replies, nb, now, &together);
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

/* Whether the target answers at all: only then does a loss count as a failed try. */
static bool target_answers(const struct loop *loop)
{
    return (int64_t)(loop->round_cycles - loop->last_reply_cycles) <
           (int64_t)loop->match.timeout_cycles;
}

static void lost_take(struct loop *loop, const struct slot *slot, uint32_t flow)
{
    struct draw again = {
        .number = slot->number, .op = (uint8_t)slot_op(slot), .tries = (uint8_t)slot_tries(slot)};

    loop->counts.lost += slot_counted(slot);
    loop->phase_lost++;
    if (again.op == OP_SET && !loop->echo)
        keys_set_end(&loop->keys, slot->number, false);
    if (loop->source.phase == PHASE_PRELOAD || loop->source.phase == PHASE_VERIFY) {
        if (target_answers(loop) && ++again.tries >= TRIES_MAX)
            loop->gave_up = true;
        source_again(&loop->source, again);
    }
    loop_flow_free(loop, flow);
}

void answers_round(struct loop *loop, uint64_t now)
{
    struct slot *slot;

    if (match_may_expire(&loop->match, loop->round_cycles)) {
        for (uint32_t flow = 0; flow < loop->match.nb_flows; flow++)
            while ((slot = match_expire(&loop->match, flow, loop->round_cycles)) != NULL)
                lost_take(loop, slot, flow);
        match_look_again(&loop->match, loop->round_cycles);
    }
    loop->round_cycles = now;
}
