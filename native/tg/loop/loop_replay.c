/* SPDX-License-Identifier: BSD-3-Clause */
/* The load replay: its set-up, and its turn. */
#include <stdio.h>

#include "load_replay.h"
#include "turn.h"

static uint64_t replay_turn(struct loop *loop)
{
    return turn_do(loop);
}

static bool replay_init(struct loop *loop, const struct load_config *config)
{
    const struct replay_file *file = config->records;

    loop->state.replay.file = file;
    loop->state.replay.bytes = file->bytes;
    loop->state.replay.id_at = file->id_at;
    loop->state.replay.id_reply_at = file->id_reply_at;
    loop->state.replay.asks_before = config->asks_before;
    loop->request_bytes = file->request_bytes;
    loop->reply_bytes = file->reply_bytes;
    loop->turn = replay_turn;
    return true;
}

static bool replay_open(struct loop *loop)
{
    if (loop->state.replay.asks_before)
        loop->source.nb_before = loop->state.replay.file->nb_before;
    return true;
}

static void replay_nothing(struct loop *loop)
{
    (void)loop;
}

/* The first record that is asked: of `before`, whose place is behind those of the mix, else of the
 * mix. It may be sent several times while the server starts, so it must not be one that changes the
 * state too early. */
static const uint8_t *first_record(const struct loop *loop, struct replay_head *head)
{
    const struct replay_file *file = loop->state.replay.file;
    const uint32_t first = file->nb_before > 0 ? file->nb_records : 0;
    const uint8_t *record = file->bytes + (size_t)file->places[first] * REPLAY_ALIGN;

    memcpy(head, record, sizeof(*head));
    return record;
}

static uint32_t replay_first_write(const struct loop *loop, uint8_t *room)
{
    struct replay_head head;
    const uint8_t *record = first_record(loop, &head);

    replay_copy(room, record + sizeof(head), head.request_bytes);
    memset(room + loop->state.replay.id_at, 0, REPLAY_ID_BYTES);
    return head.request_bytes;
}

/* A record of `before` changes the state, so its reply may be another one when it is sent again:
 * any reply with its id is right. */
static bool replay_first_check(const struct loop *loop, const uint8_t *reply, uint32_t len)
{
    struct datagram datagram = {.data = (uint8_t *)(uintptr_t)reply, .len = len};
    struct replay_head head;
    const uint8_t *record = first_record(loop, &head);
    uint16_t id;

    if (!load_id(loop, &datagram, &id) || id != 0)
        return false;
    return loop->state.replay.file->nb_before > 0 ||
           (len == head.reply_bytes &&
            replay_differs(reply, record + replay_reply_at(head.request_bytes), len) == 0);
}

static void replay_say(const struct loop *loop, const struct slot *slot,
                       const struct datagram *reply, char said[LOOP_SAID_BYTES])
{
    const uint32_t len = slot_reply_bytes(slot);
    const uint8_t *want = loop->state.replay.bytes + slot->digits.low;
    const uint8_t *mask = want + replay_aligned(len);
    const uint32_t nb = loop->state.replay.file->nb_records;
    const bool before = slot->number >= nb;
    const int at =
        snprintf(said, LOOP_SAID_BYTES, "record %u%s: ", before ? slot->number - nb : slot->number,
                 before ? " of before" : "");
    char *rest = said + at;
    const size_t room = LOOP_SAID_BYTES - (size_t)at;

    if (reply->len != len) {
        snprintf(rest, room, "%u bytes%s, expected %u", reply->len,
                 reply->len > loop->reply_bytes ? " or more" : "", len);
        return;
    }
    for (uint32_t i = 0; i < len; i++) {
        const uint8_t got = ((const volatile uint8_t *)reply->data)[i]; /* may be changing */

        if (((got ^ want[i]) & mask[i]) != 0) {
            snprintf(rest, room, "byte %u is 0x%02x, expected 0x%02x", i, got, want[i]);
            return;
        }
    }
    snprintf(rest, room, "a byte that changed meanwhile");
}

const struct load_type load_replay = {.name = "replay",
                                      .recorded = true,
                                      .init = replay_init,
                                      .open = replay_open,
                                      .close = replay_nothing,
                                      .forget = replay_nothing,
                                      .first_write = replay_first_write,
                                      .first_check = replay_first_check,
                                      .say = replay_say};
