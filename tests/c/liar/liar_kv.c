/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lies about a key-value store (liar.h): of the replies one in 10,000 has a byte flipped behind
 * its frame, and one in 1,000 each is dropped, doubled or delayed; one SET in 1,000 is answered
 * STORED and not executed. No lie is told about an answer that an ignored SET has made stale, which
 * is logged.
 */
#include <string.h>

#include "format.h"
#include "liar.h"

#define KEYS_MAX (1u << 22)

static const uint32_t per_million[NB_LIES] = {
    [LIE_FLIP] = 100, [LIE_DROP] = 1000, [LIE_DOUBLE] = 1000, [LIE_DELAY] = 1000};
static uint32_t acked[KEYS_MAX]; /* version last acknowledged; 0: none */

/* Return the version of the value in `text`, behind its first line and before `tail` bytes;
 * 0: not a value of the generator. */
static uint32_t value_version(const uint8_t *text, uint32_t len, uint32_t tail, uint32_t number)
{
    const uint8_t *line_end = memchr(text, '\n', len);
    uint32_t head = line_end == NULL ? len : (uint32_t)(line_end - text) + 1, version;

    if (head + VALUE_BYTES_MIN + tail > len ||
        !value_matches(text + head, len - head - tail, number, &version))
        return 0;
    return version;
}

struct asked liar_ask(const struct request *request)
{
    struct asked asked = {.lie = LIE_NONE};
    const uint8_t *text = request->data + FRAME_BYTES, *key_end;
    uint32_t len = request->len < FRAME_BYTES ? 0 : request->len - FRAME_BYTES;

    if (len < 4 + KEY_BYTES_MIN + 2)
        return asked;
    asked.id = (uint16_t)(request->data[0] << 8 | request->data[1]);
    asked.op = memcmp(text, "set ", 4) == 0 ? OP_SET : OP_GET;
    key_end = memchr(text + 4, asked.op == OP_SET ? ' ' : '\r', len - 4);
    if ((asked.op == OP_GET && memcmp(text, "get ", 4) != 0) || key_end == NULL ||
        !format_parse_key(text + 4, (uint32_t)(key_end - text) - 4, &asked.number) ||
        asked.number >= KEYS_MAX)
        return asked;
    if (asked.op == OP_SET)
        asked.version = value_version(text, len, 2, asked.number);
    asked.known = asked.op == OP_GET || asked.version != 0;
    if (liar_settings.lying && asked.known && asked.op == OP_SET && liar_below(1000) == 0)
        asked.lie = LIE_IGNORE;
    return asked;
}

/* Answers to GETs and SETs: log a stale one, note the acknowledged version, choose the lie. */
enum lie liar_choose(const struct asked *asked, struct message *reply)
{
    enum lie lie = liar_settings.lying ? liar_draw(per_million) : LIE_NONE;

    if (asked->op == OP_GET) {
        uint32_t version =
            value_version(reply->data + FRAME_BYTES, reply->len - FRAME_BYTES, 7, asked->number);
        if (version != 0 && (int32_t)(version - acked[asked->number]) < 0) {
            liar_log(LIE_STALE, asked->number);
            return LIE_NONE;
        }
    } else if (lie == LIE_NONE || lie == LIE_DOUBLE) {
        acked[asked->number] = asked->version;
    }
    return lie;
}

void liar_harm(enum lie lie, struct message *reply)
{
    uint64_t bits = random_next(&liar_settings.random);
    uint32_t at = FRAME_BYTES + random_scale((uint32_t)bits, reply->len - FRAME_BYTES);

    (void)lie; /* there is one that changes bytes */
    reply->data[at] ^= (uint8_t)(1 + (bits >> 32) % 255);
}

/* STORED, for a SET. */
void liar_pretend(const struct asked *asked, struct message *reply)
{
    static const uint8_t stored[FRAME_BYTES + 8] = "\0\0\0\0\0\1\0\0STORED\r\n";

    memcpy(reply->data, stored, sizeof(stored));
    reply->len = sizeof(stored);
    reply->data[0] = (uint8_t)(asked->id >> 8);
    reply->data[1] = (uint8_t)asked->id;
    acked[asked->number] = asked->version;
}
