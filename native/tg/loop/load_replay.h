/* SPDX-License-Identifier: BSD-3-Clause */
/* The load replay, for any service: requests from a file, with the replies that are right
 * (replay_file.h). A record's number selects it; version and digits of a slot have the length and
 * the place of its reply (load_type.h). */
#ifndef NEARMETAL_TG_LOAD_REPLAY_H
#define NEARMETAL_TG_LOAD_REPLAY_H

#include "check.h"
#include "loop.h"
#include "replay_file.h"
#include "words.h"

#define LOAD_PREFETCHES 1
#define REPLAY_LINE_BYTES 64u
#define REPLAY_UNCHECKED_SHIFT 16u /* of a slot's version; below it the length of the reply */

struct load_fixed {
    const uint8_t *bytes;
    uint32_t id_at;
};

static inline struct load_fixed load_fixed(const struct loop *loop)
{
    return (struct load_fixed){.bytes = loop->state.replay.bytes,
                               .id_at = loop->state.replay.id_at};
}

/* Two passes: a record's place, then the record. Its place goes where other loads have digits. */
static inline void load_draws(struct loop *loop, unsigned begin, unsigned nb)
{
    const uint32_t *places = loop->state.replay.file->places;
    const uint8_t *bytes = loop->state.replay.bytes;

    for (unsigned i = begin; i < begin + nb; i++)
        __builtin_prefetch(&places[loop->draws[i].number]);
    for (unsigned i = begin; i < begin + nb; i++) {
        const uint64_t at = (uint64_t)places[loop->draws[i].number] * REPLAY_ALIGN;

        loop->digits[i] = (struct digits){.low = at};
        __builtin_prefetch(bytes + at);
        __builtin_prefetch(bytes + at + REPLAY_LINE_BYTES);
    }
}

static inline bool load_settle(struct loop *loop, const struct load_fixed *fixed, unsigned at)
{
    (void)loop, (void)fixed, (void)at;
    return true;
}

/* Copy the ends of a request, nb bytes each, which may overlap. */
static inline __attribute__((always_inline)) void replay_copy_ends(uint8_t *to, const uint8_t *from,
                                                                   uint32_t len, uint32_t nb)
{
    memcpy(to, from, nb);
    memcpy(to + len - nb, from + len - nb, nb);
}

/* Copy a request, and not one byte more: what is behind it is the reply. The last chunk overlaps
 * the one before it. */
static inline void replay_copy(uint8_t *to, const uint8_t *from, uint32_t len)
{
    if (__builtin_expect(len >= PATTERN_CHUNK, 1)) {
        for (uint32_t at = 0; at < len - PATTERN_CHUNK; at += PATTERN_CHUNK)
            memcpy(to + at, from + at, PATTERN_CHUNK);
        memcpy(to + len - PATTERN_CHUNK, from + len - PATTERN_CHUNK, PATTERN_CHUNK);
    } else if (len >= 8) {
        replay_copy_ends(to, from, len, 8);
    } else if (len >= 4) {
        replay_copy_ends(to, from, len, 4);
    } else {
        replay_copy_ends(to, from, len, 2);
    }
}
_Static_assert(REPLAY_ID_BYTES == 2, "no request or reply is shorter than two bytes");

static inline uint32_t load_write(struct loop *loop, const struct load_fixed *fixed,
                                  struct slot *slot, unsigned at, uint16_t id, uint8_t *room)
{
    const uint64_t place = loop->digits[at].low;
    const uint8_t *record = fixed->bytes + place;
    const uint16_t high_first = __builtin_bswap16(id);
    struct replay_head head;

    memcpy(&head, record, sizeof(head));
    slot->number = loop->draws[at].number;
    slot->version = head.reply_bytes | (uint32_t)head.unchecked_bytes << REPLAY_UNCHECKED_SHIFT;
    slot->digits = (struct digits){.low = place + replay_reply_at(head.request_bytes)};
    replay_copy(room, record + sizeof(head), head.request_bytes);
    memcpy(room + fixed->id_at, &high_first, sizeof(high_first));
    return head.request_bytes;
}

static inline bool load_id(const struct loop *loop, const struct datagram *reply, uint16_t *id)
{
    const uint32_t at = loop->state.replay.id_reply_at;

    if (__builtin_expect(reply->len < at + REPLAY_ID_BYTES, 0))
        return false;
    *id = __builtin_bswap16(word_read_short(reply->data + at));
    return true;
}

static inline uint32_t slot_reply_bytes(const struct slot *slot)
{
    return (uint16_t)slot->version;
}

/* The reply and its mask, one behind the other. */
static inline void load_expect(const struct loop *loop, const struct slot *slot)
{
    const uint8_t *want = loop->state.replay.bytes + slot->digits.low;

    __builtin_prefetch(want);
    __builtin_prefetch(want + 2 * replay_aligned(slot_reply_bytes(slot)) - 1);
}

static inline __m128i replay_chunk(const uint8_t *got, const uint8_t *want, const uint8_t *mask)
{
    return _mm_and_si128(_mm_xor_si128(pattern_load(got), pattern_load(want)), pattern_load(mask));
}

/* Compare the nb <= 8 bytes at `at`; nb is a constant. */
static inline __attribute__((always_inline)) uint64_t replay_differs_at(const uint8_t *got,
                                                                        const uint8_t *want,
                                                                        const uint8_t *mask,
                                                                        uint32_t at, uint32_t nb)
{
    uint64_t got_word = 0, want_word = 0, mask_word = 0;

    memcpy(&got_word, got + at, nb);
    memcpy(&want_word, want + at, nb);
    memcpy(&mask_word, mask + at, nb);
    return (got_word ^ want_word) & mask_word;
}

/* Compare both ends of a reply that is shorter than a chunk; they may overlap. */
static inline uint64_t replay_differs_short(const uint8_t *got, const uint8_t *want,
                                            const uint8_t *mask, uint32_t len)
{
    if (len >= 8)
        return replay_differs_at(got, want, mask, 0, 8) |
               replay_differs_at(got, want, mask, len - 8, 8);
    if (len >= 4)
        return replay_differs_at(got, want, mask, 0, 4) |
               replay_differs_at(got, want, mask, len - 4, 4);
    return replay_differs_at(got, want, mask, 0, 2) |
           replay_differs_at(got, want, mask, len - 2, 2);
}

/* Compare len bytes under the mask, which lies behind the padded reply. 0: they are the same. The
 * reply may lie in memory that the server is still writing: bytes are only compared. */
static inline uint64_t replay_differs(const uint8_t *got, const uint8_t *want, uint32_t len)
{
    const uint8_t *mask = want + replay_aligned(len);
    const uint32_t last = len - PATTERN_CHUNK;
    __m128i differs;

    if (len < PATTERN_CHUNK)
        return replay_differs_short(got, want, mask, len);
    differs = replay_chunk(got + last, want + last, mask + last);
    for (uint32_t at = 0; at < last; at += PATTERN_CHUNK)
        differs = _mm_or_si128(differs, replay_chunk(got + at, want + at, mask + at));
    return 0xffffu ^ (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(differs, _mm_setzero_si128()));
}

/* The id is right: the slot was found by it. */
static inline enum verdict load_check(struct loop *loop, const struct slot *slot,
                                      const struct datagram *reply, uint16_t id)
{
    const uint32_t len = slot_reply_bytes(slot);

    (void)id;
    return reply->len == len &&
                   replay_differs(reply->data, loop->state.replay.bytes + slot->digits.low, len) ==
                       0
               ? VERDICT_RIGHT
               : VERDICT_WRONG;
}

static inline void load_over(struct loop *loop, const struct slot *slot, bool right)
{
    if (right && slot_counted(slot))
        loop->counts.unchecked_bytes += slot->version >> REPLAY_UNCHECKED_SHIFT;
}

#endif
