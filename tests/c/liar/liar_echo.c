/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lies about the service echo (liar.h), to a generator whose records have at least 12 bytes:
 *
 *     id (2), free (2), number of the record (4), anything
 *
 * and a mask that leaves out the free bytes, which are random in every reply. Of the replies one in
 * 1,000 each has a byte flipped under the mask, is cut, longer, that of another record, with the id
 * of no request, dropped, doubled, or delayed.
 */
#include <assert.h>
#include <string.h>

#include "liar.h"

#define FREE_AT 2u
#define NUMBER_AT 4u
#define REQUEST_BYTES_MIN 12u
#define LONGER_BYTES_MAX 8u

static const uint32_t per_million[NB_LIES] = {
    [LIE_FLIP] = 1000,   [LIE_DROP] = 1000,  [LIE_DOUBLE] = 1000,
    [LIE_DELAY] = 1000,  [LIE_CUT] = 1000,   [LIE_STUB] = 1000,
    [LIE_LONGER] = 1000, [LIE_OTHER] = 1000, [LIE_ID] = 1000};
static struct message last; /* an honest reply */

static uint32_t number_of(const uint8_t *datagram)
{
    uint32_t number;

    memcpy(&number, datagram + NUMBER_AT, sizeof(number));
    return number;
}

struct asked liar_ask(const struct request *request)
{
    struct asked asked = {.known = request->len >= REQUEST_BYTES_MIN};

    if (asked.known)
        asked.number = number_of(request->data);
    return asked;
}

enum lie liar_choose(const struct asked *asked, struct message *reply)
{
    enum lie lie = liar_settings.lying ? liar_draw(per_million) : LIE_NONE;

    for (unsigned i = FREE_AT; i < NUMBER_AT; i++)
        reply->data[i] = (uint8_t)liar_below(256);
    if (lie == LIE_OTHER && (last.len == 0 || number_of(last.data) == asked->number))
        return LIE_NONE;
    if (lie == LIE_NONE)
        last = *reply;
    return lie;
}

void liar_harm(enum lie lie, struct message *reply)
{
    switch (lie) {
    case LIE_FLIP:
        reply->data[NUMBER_AT + liar_below(reply->len - NUMBER_AT)] ^=
            (uint8_t)(1 + liar_below(255));
        break;
    case LIE_CUT:
        reply->len = FREE_AT + liar_below(reply->len - FREE_AT);
        break;
    case LIE_STUB:
        reply->len = 1;
        break;
    case LIE_LONGER: {
        const uint32_t more = 1 + liar_below(LONGER_BYTES_MAX);

        assert(reply->len + more <= SERVICE_DATAGRAM_BYTES);
        memset(reply->data + reply->len, 0, more);
        reply->len += more;
        break;
    }
    case LIE_OTHER:
        memcpy(reply->data + FREE_AT, last.data + FREE_AT, last.len - FREE_AT);
        reply->len = last.len;
        break;
    default:
        assert(lie == LIE_ID);
        reply->data[0] ^= 0x80; /* the generator uses fewer ids a flow, where it has 16 flows */
        break;
    }
}

void liar_pretend(const struct asked *asked, struct message *reply)
{
    (void)asked, (void)reply;
    assert(false); /* no request is ignored */
}
