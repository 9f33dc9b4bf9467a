/* SPDX-License-Identifier: BSD-3-Clause */
#include "memory_port.h"

#include <stdio.h>
#include <string.h>

#include "../check.h"
#include "format.h"

void memory_port_init(struct port *port, bool echo)
{
    memset(port, 0, sizeof(*port));
    port->echo = echo;
    port->digest = 0xcbf29ce484222325u;
}

static void digest_add(struct port *port, const uint8_t *data, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        port->digest = (port->digest ^ data[i]) * 0x100000001b3u; /* FNV-1a */
}

/* Answer a SET: the text behind the frame is "set KEY 0 0 BYTES", the value and an end of line. */
static uint32_t set_answer(struct memory_value *value, const uint8_t *text, uint32_t len,
                           uint8_t *reply)
{
    const uint8_t *data = memchr(text, '\n', len);

    CHECK(value != NULL && data != NULL);
    data++;
    value->bytes = len - (uint32_t)(data - text) - 2;
    memcpy(value->data, data, value->bytes);
    memcpy(reply, "STORED\r\n", 8);
    return 8;
}

static uint32_t get_answer(const struct memory_value *value, const uint8_t *key, uint32_t key_bytes,
                           uint8_t *reply)
{
    uint32_t len;

    if (value == NULL || value->bytes == 0) {
        memcpy(reply, "END\r\n", 5);
        return 5;
    }
    len = (uint32_t)snprintf((char *)reply, 300, "VALUE %.*s 0 %u\r\n", (int)key_bytes,
                             (const char *)key, value->bytes);
    memcpy(reply + len, value->data, value->bytes);
    memcpy(reply + len + value->bytes, "\r\nEND\r\n", 7);
    return len + value->bytes + 7;
}

static uint32_t store_answer(struct port *port, const uint8_t *text, uint32_t len, uint8_t *reply)
{
    const bool set = memcmp(text, "set ", 4) == 0;
    const uint8_t *key = text + 4, *key_end = memchr(key, set ? ' ' : '\r', len - 4);
    struct memory_value *value;
    uint32_t number;

    CHECK(set || memcmp(text, "get ", 4) == 0);
    CHECK(key_end != NULL && format_parse_key(key, (uint32_t)(key_end - key), &number));
    value = number < MEMORY_KEYS ? &port->values[number] : NULL;
    return set ? set_answer(value, text, len, reply)
               : get_answer(value, key, (uint32_t)(key_end - key), reply);
}

static void harm(struct port *port, struct memory_room *reply)
{
    const char letter = (char)reply->data[FRAME_BYTES];

    if (port->harm_letter != letter || port->harm_len != reply->len)
        return;
    reply->data[port->harm_at] ^= (uint8_t)(1u << port->harm_at % 8);
    port->harm_letter = 0;
    port->harmed = true;
}

unsigned port_lend(struct port *port, struct datagram *datagrams, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++)
        datagrams[i].data = port->requests[i].data;
    return nb;
}

void port_tx_burst(struct port *port, const struct datagram *datagrams, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++) {
        const struct datagram *request = &datagrams[i];
        struct memory_room *reply = &port->replies[port->end++ % MEMORY_QUEUE];

        CHECK(port->end - port->next <= MEMORY_QUEUE && request->len > FRAME_BYTES);
        digest_add(port, (const uint8_t *)&request->flow, sizeof(request->flow));
        digest_add(port, request->data, request->len);
        port->nb_requests++;
        reply->flow = request->flow;
        memcpy(reply->data, request->data, request->len);
        reply->len = request->len;
        if (!port->echo)
            reply->len =
                FRAME_BYTES + store_answer(port, request->data + FRAME_BYTES,
                                           request->len - FRAME_BYTES, reply->data + FRAME_BYTES);
        port->seen[reply->data[FRAME_BYTES] % 128][reply->len] = true;
        harm(port, reply);
    }
}

void port_ahead(struct port *port, unsigned nb)
{
    (void)port, (void)nb;
}

unsigned port_rx_burst(struct port *port, struct datagram *datagrams, unsigned nb, bool *round)
{
    unsigned got = 0;

    for (; got < nb && port->next != port->end; got++) {
        struct memory_room *reply = &port->replies[port->next++ % MEMORY_QUEUE];

        datagrams[got] =
            (struct datagram){.data = reply->data, .len = reply->len, .flow = reply->flow};
    }
    *round = port->next == port->end;
    return got;
}
