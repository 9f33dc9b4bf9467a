/* SPDX-License-Identifier: BSD-3-Clause */
/* Compose a message, and cut it into datagrams; see reply.h. */
#include "reply.h"

void message_put(struct message *message, const uint8_t *bytes, uint32_t nb)
{
    if (message->overflown || nb > REPLY_MESSAGE_BYTES_MAX - message->len) {
        message->overflown = true;
        return;
    }
    copy_bytes(message->data + message->len, bytes, nb);
    message->len += nb;
}

void message_put_number(struct message *message, uint64_t number)
{
    uint8_t digits[U64_DIGITS_MAX];
    message_put(message, digits, put_digits(digits, number));
}

void message_put_item(struct message *message, struct item *item, bool with_cas)
{
    message_put_text(message, "VALUE ");
    message_put(message, item->bytes, item_key_bytes(item));
    message_put_text(message, " ");
    message_put_number(message, item->flags);
    message_put_text(message, " ");
    message_put_number(message, item_value_bytes(item));
    if (with_cas) {
        message_put_text(message, " ");
        message_put_number(message, item_cas(item));
    }
    message_put_text(message, "\r\n");
    message_put(message, item_value(item), item_value_bytes(item));
    message_put_text(message, "\r\n");
}

uint32_t reply_nb_datagrams(uint32_t message_bytes)
{
    if (message_bytes == 0)
        return 1;
    return (message_bytes + REPLY_DATA_BYTES - 1) / REPLY_DATA_BYTES;
}

static void put_big16(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)(value >> 8);
    to[1] = (uint8_t)value;
}

uint32_t reply_write_datagram(uint8_t *to, uint32_t request_id, uint32_t sequence,
                              const uint8_t *message, uint32_t message_bytes)
{
    uint32_t from = sequence * REPLY_DATA_BYTES, nb = message_bytes - from;
    if (nb > REPLY_DATA_BYTES)
        nb = REPLY_DATA_BYTES;
    put_big16(to, request_id);
    put_big16(to + 2, sequence);
    put_big16(to + 4, reply_nb_datagrams(message_bytes));
    put_big16(to + 6, 0);
    copy_bytes(to + FRAME_BYTES, message + from, nb);
    return FRAME_BYTES + nb;
}

uint32_t put_digits(uint8_t *to, uint64_t number)
{
    uint8_t reversed[U64_DIGITS_MAX];
    uint32_t nb = 0;
    do {
        reversed[nb++] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    for (uint32_t i = 0; i < nb; i++)
        to[i] = reversed[nb - 1 - i];
    return nb;
}
