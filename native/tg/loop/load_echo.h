/* SPDX-License-Identifier: BSD-3-Clause */
/* The load echo: the requests of kv, to a service that returns them unchanged (load_type.h). */
#ifndef NEARMETAL_TG_LOAD_ECHO_H
#define NEARMETAL_TG_LOAD_ECHO_H

#include "check.h"
#include "keyed.h"

#define LOAD_PREFETCHES 0
#define STAMP_STEP 0x9e3779b97f4a7c15u

struct load_fixed {
    uint32_t none;
};

static inline struct load_fixed load_fixed(const struct loop *loop)
{
    (void)loop;
    return (struct load_fixed){0};
}

/* Replace the digits by stamps, which never repeat: an odd step visits all 64-bit numbers. Not
 * inlined, so that the code without stamps stays the same. */
static __attribute__((noinline)) void stamps_make(struct loop *loop, unsigned begin, unsigned nb)
{
    uint64_t stamp = loop->state.echo.stamp;

    for (unsigned i = begin; i < begin + nb; i++) {
        stamp += STAMP_STEP;
        loop->digits[i] = (struct digits){.high = (uint16_t)stamp, .low = stamp};
    }
    loop->state.echo.stamp = stamp;
}

static inline void load_draws(struct loop *loop, unsigned begin, unsigned nb)
{
    if (loop->state.echo.stamped) {
        stamps_make(loop, begin, nb);
        return;
    }
    keyed_digits(loop, begin, nb);
    if (loop->classes.some_short)
        keyed_shorten(loop, begin, nb);
}

static inline bool load_settle(struct loop *loop, const struct load_fixed *fixed, unsigned at)
{
    (void)loop, (void)fixed, (void)at;
    return true;
}

/* Return the version that a SET writes. */
static inline uint32_t set_begin(struct loop *loop)
{
    loop->nb_sets++;
    return ++loop->state.echo.version;
}

static inline uint32_t load_write(struct loop *loop, const struct load_fixed *fixed,
                                  struct slot *slot, unsigned at, uint16_t id, uint8_t *room)
{
    const struct draw *draw = &loop->draws[at];
    const struct digits digits = loop->digits[at];
    const uint32_t number = draw->number;
    uint32_t version = __builtin_expect(draw->op == OP_SET, 0) ? set_begin(loop) : 0;

    (void)fixed;
    slot->number = number;
    slot->digits = digits;
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
    (void)loop, (void)slot;
}

static inline enum verdict load_check(struct loop *loop, const struct slot *slot,
                                      const struct datagram *reply, uint16_t id)
{
    struct expected expected = {.id = id,
                                .op = (uint8_t)slot_op(slot),
                                .number = slot->number,
                                .digits = slot->digits,
                                .version = slot->version};

    return check_echo(keyed_format(loop, slot->number), &expected, reply->data, reply->len);
}

static inline void load_over(struct loop *loop, const struct slot *slot, bool right)
{
    (void)loop, (void)slot, (void)right;
}

#endif
