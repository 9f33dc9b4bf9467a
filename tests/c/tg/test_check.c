/* SPDX-License-Identifier: BSD-3-Clause */
/* Each kind of right and of wrong answer; and the generator's record of a key. */
#include <string.h>

#include "check.h"
#include "../check.h"
#include "keys.h"

#define NUMBER 42u

static struct format format;
static uint8_t reply[REPLY_BYTES_MAX + 64];

static uint32_t hit_make(uint32_t number, uint32_t version)
{
    uint32_t len = format_hit_head(&format, reply, 7, number);

    value_fill(reply + len, format.value_bytes, number, version);
    memcpy(reply + len + format.value_bytes, "\r\nEND\r\n", 7);
    return format.hit_bytes;
}

static uint32_t text_make(const char *text)
{
    memcpy(reply, "\0\7\0\0\0\1\0\0", FRAME_BYTES);
    memcpy(reply + FRAME_BYTES, text, strlen(text));
    return FRAME_BYTES + (uint32_t)strlen(text);
}

static enum verdict get(uint32_t acked, uint32_t sent, uint32_t len)
{
    struct expected expected = {.id = 7,
                                .op = OP_GET,
                                .number = NUMBER,
                                .digits = format_digits(&format, NUMBER),
                                .acked = acked,
                                .sent = sent};
    uint32_t found;

    return check_kv(&format, &expected, reply, len, &found);
}

static enum verdict set(uint32_t len)
{
    struct expected expected = {.id = 7,
                                .op = OP_SET,
                                .number = NUMBER,
                                .digits = format_digits(&format, NUMBER),
                                .version = 3};
    uint32_t found;

    return check_kv(&format, &expected, reply, len, &found);
}

static void versions_decide(void)
{
    CHECK(get(5, 7, hit_make(NUMBER, 5)) == VERDICT_RIGHT);
    CHECK(get(5, 7, hit_make(NUMBER, 6)) == VERDICT_RIGHT);
    CHECK(get(5, 7, hit_make(NUMBER, 7)) == VERDICT_RIGHT);
    CHECK(get(5, 7, hit_make(NUMBER, 4)) == VERDICT_STALE);
    CHECK(get(5, 7, hit_make(NUMBER, 8)) == VERDICT_WRONG); /* never sent */
    CHECK(get(5, 7, hit_make(NUMBER, 0)) == VERDICT_WRONG);
    CHECK(get(UINT32_MAX, 2, hit_make(NUMBER, 1)) == VERDICT_RIGHT); /* wrapped */
    CHECK(get(2, 2, hit_make(NUMBER, UINT32_MAX)) == VERDICT_STALE);
}

static void a_miss_is_right_only_of_what_was_never_stored(void)
{
    CHECK(get(0, 0, text_make("END\r\n")) == VERDICT_RIGHT);
    CHECK(get(0, 1, text_make("END\r\n")) == VERDICT_RIGHT); /* the first SET is in flight */
    CHECK(get(1, 1, text_make("END\r\n")) == VERDICT_UNEXPECTED_MISS);
    CHECK(get(0, 0, hit_make(NUMBER, 1)) == VERDICT_WRONG);
}

/* sent: the last version. A value without a pattern can, with a byte changed, be the value of
 * another version: then only the requested value is right. */
static void every_byte_counts(uint32_t acked, uint32_t sent)
{
    uint32_t len = hit_make(NUMBER, 5);

    for (uint32_t at = 0; at < len; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            reply[at] ^= (uint8_t)(1u << bit);
            CHECK(get(acked, sent, len) != VERDICT_RIGHT);
            reply[at] ^= (uint8_t)(1u << bit);
        }
    CHECK(get(acked, sent, len) == VERDICT_RIGHT);
    len = text_make("STORED\r\n");
    for (uint32_t at = 0; at < len; at++) {
        reply[at] ^= 1;
        CHECK(set(len) == VERDICT_WRONG);
        reply[at] ^= 1;
    }
    CHECK(set(len) == VERDICT_RIGHT);
    len = text_make("END\r\n");
    for (uint32_t at = 0; at < len; at++) {
        reply[at] ^= 1;
        CHECK(get(0, 0, len) == VERDICT_WRONG);
        reply[at] ^= 1;
    }
}

static void lengths_and_words_count(void)
{
    for (uint32_t len = 0; len <= format.hit_bytes + 8; len++) {
        hit_make(NUMBER, 5);
        CHECK((get(5, 5, len) == VERDICT_RIGHT) == (len == format.hit_bytes));
    }
    for (uint32_t len = 0; len < 32; len++) {
        text_make("STORED\r\nSTORED\r\n");
        CHECK((set(len) == VERDICT_RIGHT) == (len == 16));
    }
    CHECK(set(text_make("NOT_STORED\r\n")) == VERDICT_WRONG);
    CHECK(set(text_make("SERVER_ERROR out of memory storing object\r\n")) == VERDICT_WRONG);
    CHECK(get(5, 5, text_make("ERROR\r\n")) == VERDICT_WRONG);
    CHECK(get(5, 5, hit_make(NUMBER + 1, 5)) == VERDICT_WRONG); /* the answer for another key */
}

static void a_found_version_is_told(void)
{
    struct expected expected = {
        .id = 7, .op = OP_GET, .number = NUMBER, .digits = format_digits(&format, NUMBER)};
    uint32_t found = 99, len = hit_make(NUMBER, 5);

    CHECK(check_kv(&format, &expected, reply, len, &found) == VERDICT_WRONG && found == 5);
    reply[format.hit_head.bytes] ^= 1; /* the number */
    CHECK(check_kv(&format, &expected, reply, len, &found) == VERDICT_WRONG && found == 0);
}

static void echo_returns_the_request(void)
{
    struct expected expected = {.id = 7,
                                .op = OP_SET,
                                .number = NUMBER,
                                .digits = format_digits(&format, NUMBER),
                                .version = 3};
    uint32_t len = format_request(&format, reply, 7, OP_SET, NUMBER, 3);

    CHECK(check_echo(&format, &expected, reply, len) == VERDICT_RIGHT);
    CHECK(check_echo(&format, &expected, reply, len - 1) == VERDICT_WRONG);
    CHECK(check_echo(&format, &expected, reply, len + 1) == VERDICT_WRONG);
    for (uint32_t at = 0; at < len; at++) {
        reply[at] ^= 1;
        CHECK(check_echo(&format, &expected, reply, len) == VERDICT_WRONG);
        reply[at] ^= 1;
    }
}

/* The stamp at the key's end may be any eight bytes; each byte is compared. */
static void a_stamp_comes_back(void)
{
    struct expected expected = {.id = 7, .op = OP_GET};
    uint64_t stamp = 0x8123456789abcdefu;
    uint32_t len = format.get_bytes;

    expected.digits = (struct digits){.high = (uint16_t)stamp, .low = stamp};
    format_write(&format, reply, 7, OP_GET, expected.digits, 0, 0);
    CHECK(memcmp(reply + len - 10, &stamp, 8) == 0 && memcmp(reply + len - 2, "\r\n", 2) == 0);
    CHECK(check_echo(&format, &expected, reply, len) == VERDICT_RIGHT);
    for (uint32_t at = 0; at < len; at++)
        for (unsigned bit = 0; bit < 8; bit++) {
            reply[at] ^= (uint8_t)(1u << bit);
            CHECK(check_echo(&format, &expected, reply, len) == VERDICT_WRONG);
            reply[at] ^= (uint8_t)(1u << bit);
        }
}

static void keys_know_what_was_sent_and_acknowledged(void)
{
    struct keys keys;

    CHECK(keys_open(&keys, 100));
    CHECK(keys_versions(&keys, 99).sent == 0 && !keys_setting(&keys, 99));
    CHECK(keys_set_begin(&keys, 99) == 1);
    CHECK(keys_setting(&keys, 99) && !keys_setting(&keys, 98));
    CHECK(keys_versions(&keys, 99).sent == 1 && keys_versions(&keys, 99).acked == 0);
    keys_set_end(&keys, 99, false); /* lost */
    CHECK(!keys_setting(&keys, 99) && keys_versions(&keys, 99).acked == 0);
    CHECK(keys_set_begin(&keys, 99) == 2);
    keys_set_end(&keys, 99, true);
    CHECK(keys_versions(&keys, 99).acked == 2);
    CHECK(keys_versions(&keys, 100).sent == 0 && !keys_setting(&keys, 100)); /* never stored */
    keys.versions[5].sent = UINT32_MAX;
    CHECK(keys_set_begin(&keys, 5) == 1); /* 0 means "not stored" */
    keys_reset(&keys);
    CHECK(keys_versions(&keys, 99).sent == 0 && !keys_setting(&keys, 5));
    keys_close(&keys);
}

static void all_of(uint32_t key_bytes, uint32_t value_bytes, uint32_t acked, uint32_t sent)
{
    CHECK(format_init(&format, key_bytes, value_bytes));
    versions_decide();
    a_miss_is_right_only_of_what_was_never_stored();
    every_byte_counts(acked, sent);
    lengths_and_words_count();
    a_found_version_is_told();
    echo_returns_the_request();
    a_stamp_comes_back();
}

int main(void)
{
    all_of(16, 33, 1, 1000000);
    all_of(12, 16, 1, 1000000);
    for (uint32_t key_bytes = KEY_BYTES_MIN; key_bytes < KEY_BYTES_LONG; key_bytes++)
        for (uint32_t value_bytes = VALUE_BYTES_MIN; value_bytes < 16; value_bytes++)
            all_of(key_bytes, value_bytes, 5, 5);
    keys_know_what_was_sent_and_acknowledged();
    return 0;
}
