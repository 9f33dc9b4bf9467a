/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replies: frames, text, and a long message cut into datagrams.
 *
 * A message is composed completely before its first datagram is written, for two reasons: its room
 * may be the request that is still being read, and every frame holds the number of datagrams. Text
 * beyond the message's bound is dropped, and the message is marked as overflown.
 */
#ifndef NEARMETAL_REPLY_H
#define NEARMETAL_REPLY_H

#include "bytes.h"
#include "item.h"
#include "service.h"

#define FRAME_BYTES 8u
#define REPLY_DATA_BYTES (SERVICE_DATAGRAM_BYTES - FRAME_BYTES)
#define REPLY_MESSAGE_BYTES_MAX (REPLY_DATA_BYTES * SERVICE_REPLY_DATAGRAMS_MAX)
#define U64_DIGITS_MAX 20u
#define REPLY_TOO_LARGE "SERVER_ERROR reply too large\r\n"

struct message {
    uint8_t *data; /* REPLY_MESSAGE_BYTES_MAX bytes */
    uint32_t len;
    bool overflown; /* more was put than fits */
};

void message_put(struct message *message, const uint8_t *bytes, uint32_t nb);
void message_put_number(struct message *message, uint64_t number);
/* Put VALUE <key> <flags> <bytes>[ <cas>], and the value. */
void message_put_item(struct message *message, struct item *item, bool with_cas);

#define message_put_text(message, text)                                                            \
    message_put(message, (const uint8_t *)(text), sizeof(text) - 1)

/* Return the number of datagrams for a message of so many bytes, at least 1. */
uint32_t reply_nb_datagrams(uint32_t message_bytes);

/* Write datagram `sequence` of a message; returns its length. */
uint32_t reply_write_datagram(uint8_t *to, uint32_t request_id, uint32_t sequence,
                              const uint8_t *message, uint32_t message_bytes);

/* Write the decimal digits of a number; returns how many. */
uint32_t put_digits(uint8_t *to, uint64_t number);

/* Write the frame of a reply in one datagram; id as it is in the request. */
static inline void put_single_frame(uint8_t *to, uint16_t id_as_received)
{
    store64(to, id_as_received | (uint64_t)1 << 40); /* bytes: id id 0 0 0 1 0 0 */
}

/* Write the reply to a get of one key; returns its length. 0: one datagram is not enough. */
static inline uint32_t reply_write_item(uint8_t *to, uint16_t id_as_received, struct item *item,
                                        bool with_cas)
{
    uint32_t key_bytes = item_key_bytes(item), value_bytes = item_value_bytes(item);
    /* "VALUE " 6, three spaces, 10 + 5 + 13 digits, two line ends and "END\r\n" 9. */
    if (__builtin_expect(key_bytes + value_bytes > REPLY_DATA_BYTES - 46, 0))
        return 0;
    put_single_frame(to, id_as_received);
    uint8_t *at = to + FRAME_BYTES;
    store64(at, load64((const uint8_t *)"VALUE \0\0"));
    at += 6;
    copy_bytes(at, item->bytes, key_bytes);
    at += key_bytes;
    if (__builtin_expect(item->flags < 10, 1)) {
        *at = ' ';
        at[1] = (uint8_t)('0' + item->flags);
        at[2] = ' ';
        at += 3;
    } else {
        *at++ = ' ';
        at += put_digits(at, item->flags);
        *at++ = ' ';
    }
    if (__builtin_expect(value_bytes >= 10 && value_bytes < 100, 1)) {
        at[0] = (uint8_t)('0' + value_bytes / 10);
        at[1] = (uint8_t)('0' + value_bytes % 10);
        at += 2;
    } else {
        at += put_digits(at, value_bytes);
    }
    if (with_cas) {
        *at++ = ' ';
        at += put_digits(at, item_cas(item));
    }
    store16(at, load16((const uint8_t *)"\r\n"));
    at += 2;
    copy_bytes(at, item->bytes + key_bytes, value_bytes);
    at += value_bytes;
    __builtin_memcpy(at, "\r\nEND\r\n", 7);
    return (uint32_t)(at + 7 - to);
}

/* Write a reply of fixed text; returns its length. */
#define reply_write_text(to, id_as_received, text)                                                 \
    (put_single_frame(to, id_as_received),                                                         \
     __builtin_memcpy((to) + FRAME_BYTES, text, sizeof(text) - 1),                                 \
     (uint32_t)(FRAME_BYTES + sizeof(text) - 1))

#endif
