/* SPDX-License-Identifier: BSD-3-Clause */
/* The load kv, for a key-value store: GETs and SETs, and a version in each value (load_type.h). */
#ifndef NEARMETAL_TG_LOAD_KV_H
#define NEARMETAL_TG_LOAD_KV_H

#include "check.h"
#include "keyed.h"

#define LOAD_PREFETCHES 1

struct load_fixed {
    struct keys keys;
    bool no_overlap;
};

static inline struct load_fixed load_fixed(const struct loop *loop)
{
    return (struct load_fixed){.keys = loop->state.kv.keys,
                               .no_overlap = loop->state.kv.no_overlap};
}

/* A key's state is in the cache when its request is made. */
static inline void load_draws(struct loop *loop, unsigned begin, unsigned nb)
{
    const struct keys *keys = &loop->state.kv.keys;

    for (unsigned i = begin; i < begin + nb; i++)
        if (loop->draws[i].number < keys->nb_keys)
            __builtin_prefetch(&keys->versions[loop->draws[i].number], 1);
    keyed_digits(loop, begin, nb);
    if (loop->classes.some_short)
        keyed_shorten(loop, begin, nb);
}

/* Send another key while a SET of the drawn one is in flight (loop_kv.c). */
bool kv_settle(struct loop *loop, struct draw *draw);

static __attribute__((noinline)) void digits_again(const struct loop *loop, struct digits *digits,
                                                   uint32_t number)
{
    *digits = format_digits(keyed_format(loop, number), number);
}

static inline bool load_settle(struct loop *loop, const struct load_fixed *fixed, unsigned at)
{
    struct draw *draw = &loop->draws[at];
    const uint32_t number = draw->number;

    if (__builtin_expect(draw->op != OP_SET && !fixed->no_overlap, 1))
        return true;
    if (!kv_settle(loop, draw))
        return false;
    if (draw->number != number)
        digits_again(loop, &loop->digits[at], draw->number);
    return true;
}

/* Return the version that a SET writes. */
static inline uint32_t set_begin(struct loop *loop, uint32_t number)
{
    loop->nb_sets++;
    return keys_set_begin(&loop->state.kv.keys, number);
}

static inline uint32_t load_write(struct loop *loop, const struct load_fixed *fixed,
                                  struct slot *slot, unsigned at, uint16_t id, uint8_t *room)
{
    const struct draw *draw = &loop->draws[at];
    const struct digits digits = loop->digits[at];
    const uint32_t number = draw->number;
    uint32_t version;

    slot->number = number;
    slot->digits = digits;
    version = __builtin_expect(draw->op == OP_SET, 0) ? set_begin(loop, number)
                                                      : keys_versions(&fixed->keys, number).acked;
    slot->version = version;
    return format_write(keyed_format(loop, number), room, id, (enum op)draw->op, digits, number,
                        version);
}

static inline bool load_id(const struct loop *loop, const struct datagram *reply, uint16_t *id)
{
    (void)loop;
    return keyed_id(reply, id);
}

static inline void load_expect(const struct loop *loop, const struct slot *slot)
{
    if (slot->number < loop->state.kv.keys.nb_keys)
        __builtin_prefetch(&loop->state.kv.keys.versions[slot->number]);
}

/* The verdict in the phase verify (loop_kv.c). */
enum verdict kv_verify(struct loop *loop, uint32_t number, uint32_t found, enum verdict verdict);

static inline enum verdict load_check(struct loop *loop, const struct slot *slot,
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

    expected.sent = keys_versions(&loop->state.kv.keys, slot->number).sent;
    verdict =
        check_kv(keyed_format(loop, slot->number), &expected, reply->data, reply->len, &found);
    if (__builtin_expect(loop->source.phase == PHASE_VERIFY, 0) && expected.op == OP_GET)
        return kv_verify(loop, slot->number, found, verdict);
    return verdict;
}

static inline void load_over(struct loop *loop, const struct slot *slot, bool right)
{
    if (slot_op(slot) == OP_SET)
        keys_set_end(&loop->state.kv.keys, slot->number, right);
}

#endif
