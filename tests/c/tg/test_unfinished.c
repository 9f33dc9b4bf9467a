/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * UDP checksums of received frames on a wire whose other end may leave them to hardware: none, the
 * sum of the pseudo header alone, or the whole; and what is none of these. Each frame is checked
 * twice, so that a header seen before is covered too.
 */
#include <string.h>

#include "../check.h"
#include "headers.h"

#define BYTES 20u /* of payload */
#define LEN (HEADERS_BYTES + BYTES)

static struct headers headers;
static uint8_t frame[LEN];

static void begin(bool checksums, bool unfinished)
{
    const struct headers_config config = {.our_mac = {2, 0, 0, 0, 0, 1},
                                          .target_mac = {2, 0, 0, 0, 0, 2},
                                          .our_address = {10, 0, 0, 1},
                                          .target_address = {10, 0, 0, 2},
                                          .target_port = 11211,
                                          .port_base = 20000,
                                          .nb_flows = 4,
                                          .checksums = checksums,
                                          .unfinished = unfinished};

    headers_init(&headers, &config);
}

static uint32_t sum(const uint8_t *data, uint32_t len, uint32_t total)
{
    for (uint32_t i = 0; i < len; i++)
        total += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
    while (total > 0xffff)
        total = (total & 0xffff) + (total >> 16);
    return total;
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static uint32_t pseudo_sum(void)
{
    return sum(frame + 26, 8, 17 + 8 + BYTES);
}

static uint32_t whole(void)
{
    uint32_t value;

    put16(frame + 40, 0);
    value = ~sum(frame + 34, 8 + BYTES, pseudo_sum()) & 0xffff;
    return value == 0 ? 0xffff : value;
}

/* A reply to flow 2 without a UDP checksum. */
static void reply_make(void)
{
    static const uint8_t start[38] = {2,  0,    0, 0, 0,  1, 2, 0, 0, 0,  0,  2, 8,
                                      0,  0x45, 0, 0, 0,  0, 0, 0, 0, 64, 17, 0, 0,
                                      10, 0,    0, 2, 10, 0, 0, 1, 0, 0,  0,  0};

    memset(frame, 0, sizeof(frame));
    memcpy(frame, start, sizeof(start));
    put16(frame + 16, 28 + BYTES);
    put16(frame + 24, ~sum(frame + 14, 20, 0) & 0xffff);
    put16(frame + 34, 11211);
    put16(frame + 36, 20002);
    put16(frame + 38, 8 + BYTES);
    for (uint32_t i = 0; i < BYTES; i++)
        frame[HEADERS_BYTES + i] = (uint8_t)(i * 7);
}

static bool is_accepted(uint32_t checksum)
{
    uint32_t flow = 0, first, second;

    put16(frame + 40, checksum);
    first = headers_check(&headers, frame, LEN, &flow);
    second = headers_check(&headers, frame, LEN, &flow);
    CHECK(first == second);
    if (first == HEADERS_MALFORMED)
        return false;
    CHECK(first == BYTES && flow == 2);
    return true;
}

int main(void)
{
    uint32_t partly, complete;

    reply_make();
    partly = pseudo_sum();
    complete = whole();
    CHECK(partly != complete && partly != 0);

    for (unsigned checksums = 0; checksums < 2; checksums++) {
        begin(checksums == 1, true);
        CHECK(is_accepted(0) && is_accepted(partly) && is_accepted(complete) && is_accepted(0));
        CHECK(!is_accepted(partly ^ 1) && !is_accepted(~partly & 0xffff));
        CHECK(!is_accepted(complete ^ 0x100));
    }
    begin(false, false);
    CHECK(is_accepted(0) && is_accepted(complete) && !is_accepted(partly));
    begin(true, false);
    CHECK(!is_accepted(0) && is_accepted(complete) && !is_accepted(partly));

    /* A shorter datagram behind a header of this length is no unfinished one. */
    begin(false, true);
    CHECK(is_accepted(partly));
    put16(frame + 38, 8 + BYTES - 2);
    CHECK(!is_accepted(partly));
    return 0;
}
