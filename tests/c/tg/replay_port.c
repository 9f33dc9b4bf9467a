/* SPDX-License-Identifier: BSD-3-Clause */
#include "replay_port.h"

#include <string.h>

#include "../check.h"
#include "random.h"
#include "replay_bed.h"

#define ROOM_MARK 0xa5

struct known records[NB_ALL];
uint32_t reply_id_at, mark_at;
static struct bed bed;
static struct random noise = {.state = 5};

static uint8_t any_byte(void)
{
    return (uint8_t)(random_next(&noise) >> 56);
}

/* The first records have short requests and replies of all lengths; the last ones are longer, two
 * of each length. */
static void records_make(void)
{
    for (uint32_t i = 0; i < NB_ALL; i++) {
        struct known *known = &records[i];
        const uint32_t place = i < NB_BEFORE ? i + 3 : i - NB_BEFORE;
        const uint32_t more = place < 25 ? place : 8 * ((place | 1) - 20);

        known->request_bytes = i < 40 ? 3 + i : BYTES_MAX - i;
        known->reply_bytes = reply_id_at + REPLAY_ID_BYTES + more;
        for (uint32_t at = 0; at < BYTES_MAX; at++) {
            const uint8_t kind = any_byte();

            known->request[at] = any_byte();
            known->reply[at] = any_byte();
            known->mask[at] = kind < 128 ? 0xff : kind < 192 ? 0 : any_byte();
        }
        known->request[0] = (uint8_t)i;
        known->mask[mark_at] = 0xff;
        known->reply[mark_at] = (uint8_t)i; /* so that no two replies are alike */
    }
}

void records_open(struct replay_file *file, uint32_t id_at)
{
    reply_id_at = id_at;
    mark_at = id_at == 0 ? REPLAY_ID_BYTES : 0;
    records_make();
    bed_begin(&bed, NB_BEFORE, NB_RECORDS, REQUEST_ID_AT, (uint16_t)reply_id_at);
    for (uint32_t i = 0; i < NB_ALL; i++)
        bed_add(&bed, records[i].request, records[i].request_bytes, records[i].reply,
                records[i].mask, records[i].reply_bytes);
    CHECK(replay_file_parse(file, bed.bytes, bed.nb) == NULL);
}

void replay_port_init(struct port *port, const struct loop *loop)
{
    memset(port, 0, sizeof(*port));
    port->loop = loop;
}

static void reply_add(struct port *port, uint32_t flow, const struct room *reply)
{
    struct room *to = &port->replies[port->end++ % QUEUE];

    CHECK(port->end - port->next <= QUEUE);
    *to = *reply;
    to->flow = flow;
}

uint32_t reply_make(struct room *reply, const struct known *known, const uint8_t *id)
{
    uint32_t nb_unchecked = 0;

    reply->len = known->reply_bytes;
    for (uint32_t at = 0; at < known->reply_bytes; at++) {
        const bool is_id = at == reply_id_at || at == reply_id_at + 1;

        reply->data[at] = known->reply[at] ^ (uint8_t)(any_byte() & ~known->mask[at]);
        nb_unchecked += !is_id && known->mask[at] != 0xff;
    }
    memcpy(reply->data + reply_id_at, id, REPLAY_ID_BYTES);
    return nb_unchecked;
}

static void reply_harm(struct port *port, struct room *reply, uint32_t number, const uint8_t *id)
{
    switch (port->harm) {
    case HARM_BIT:
        reply->data[port->harm_at / 8] ^= (uint8_t)(1u << port->harm_at % 8);
        break;
    case HARM_CUT:
        reply->len = port->harm_at;
        break;
    case HARM_LONGER:
        memset(reply->data + reply->len, 0, port->harm_at);
        reply->len += port->harm_at;
        break;
    case HARM_OTHER:
        CHECK(port->harm_at != number);
        (void)reply_make(reply, &records[port->harm_at], id);
        break;
    case HARM_ID:
        reply->data[reply_id_at] = 0xff; /* that of no request so far */
        break;
    default:
        break;
    }
}

/* Find the record of a request, and check all of its bytes. */
static uint32_t request_take(struct port *port, const struct datagram *request)
{
    const uint32_t number = request->data[0];
    const struct known *known = &records[number];

    CHECK(number < NB_ALL && request->len == known->request_bytes);
    CHECK(request->data[request->len] == ROOM_MARK); /* nothing more was written */
    for (uint32_t at = 0; at < request->len; at++)
        CHECK(request->data[at] == known->request[at] || at == REQUEST_ID_AT ||
              at == REQUEST_ID_AT + 1);
    port->digest = (port->digest ^ number ^ request->flow << 8) * 0x100000001b3u; /* FNV-1a */
    port->nb_requests++;
    port->nb_asked[number]++;
    return number;
}

static void answer(struct port *port, const struct datagram *request)
{
    const uint32_t number = request_take(port, request);
    const uint8_t *id = request->data + REQUEST_ID_AT;
    const bool harmed = port->harm != HARM_NONE && port->harm_record == number;
    const enum harm harm = harmed ? port->harm : HARM_NONE;
    struct room reply;
    const uint32_t nb_unchecked = reply_make(&reply, &records[number], id);

    if (harm == HARM_NONE || harm == HARM_TWICE)
        port->nb_unchecked += nb_unchecked;
    if (harmed)
        reply_harm(port, &reply, number, id);
    if (harm != HARM_DROP)
        reply_add(port, request->flow, &reply);
    if (harm == HARM_TWICE)
        reply_add(port, request->flow, &reply);
    if (harmed)
        port->harm = HARM_NONE;
}

unsigned port_lend(struct port *port, struct datagram *datagrams, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++) {
        datagrams[i].data = port->requests[i].data;
        memset(datagrams[i].data, ROOM_MARK, sizeof(port->requests[i].data));
    }
    return nb;
}

void port_tx_burst(struct port *port, const struct datagram *datagrams, unsigned nb)
{
    if (port->loop->source.phase == PHASE_BEFORE)
        CHECK(nb == 1 && port->next == port->end); /* one after another */
    port->nb_held = port->loop->source.phase == PHASE_BEFORE ? 3 : 0;
    for (unsigned i = 0; i < nb; i++)
        answer(port, &datagrams[i]);
}

void port_ahead(struct port *port, unsigned nb)
{
    (void)port, (void)nb;
}

unsigned port_rx_burst(struct port *port, struct datagram *datagrams, unsigned nb, bool *round)
{
    unsigned got = 0;

    if (port->nb_held > 0) {
        port->nb_held--;
        return 0; /* and no round ends */
    }
    for (; got < nb && port->next != port->end; got++) {
        struct room *reply = &port->replies[port->next++ % QUEUE];
        /* A port does not hand on more of a long reply than shows that it is too long. */
        const uint32_t most = port->loop->reply_bytes + 1;

        datagrams[got] = (struct datagram){
            .data = reply->data, .len = reply->len < most ? reply->len : most, .flow = reply->flow};
    }
    *round = port->next == port->end;
    return got;
}
