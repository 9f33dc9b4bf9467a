/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The burst contract: drops, the bounds on replies, long replies in datagrams, a single slot, and
 * that a burst has the same results as its requests one after the other, for any rooms.
 */
#include <string.h>

#include "bed.h"
#include "kv_row.h"
#include "../check.h"
#include "random.h"

#define TOO_LARGE "SERVER_ERROR reply too large\r\n"

static void drops(struct bed *bed)
{
    bed_ask_raw(bed, "\0\1\0\0\0\1\0\0", 8);
    CHECK(bed->drop == DROP_SHORT);
    bed_ask_raw(bed, "\0\1\0\0\0\2\0\0version\r\n", 17);
    CHECK(bed->drop == DROP_TOTAL);
    bed_ask_raw(bed, "\0\1\0\0\0\0\0\0version\r\n", 17);
    CHECK(bed->drop == DROP_TOTAL);
    bed_ask_raw(bed, "\0\1\0\0\0\1\0\0\x80rest", 13);
    CHECK(bed->drop == DROP_BINARY);
    bed->who = BED_STRANGER;
    bed_ask_bytes(bed, "version\r\n", 9);
    CHECK(bed->drop == DROP_SOURCE);
    bed_ask_raw(bed, "\0\1", 2); /* the length comes first */
    CHECK(bed->drop == DROP_SHORT);
    bed->who = BED_ADMIN;
    bed_ask_bytes(bed, "quit\r\n", 6);
    CHECK(bed->drop == DROP_QUIET);
}

static void administration(struct bed *bed)
{
    bed->who = BED_USER;
    bed_expect(bed, "flush_all\r\nstats\r\nverbosity 1\r\nflush_all noreply\r\nversion\r\n",
               "CLIENT_ERROR not allowed\r\nCLIENT_ERROR not allowed\r\n"
               "CLIENT_ERROR not allowed\r\nVERSION nearmetal-0.1.0\r\n");
    bed->who = BED_ADMIN;
    bed_expect(bed, "flush_all\r\n", "OK\r\n");
    bed_ask_bytes(bed, "stats\r\n", 7);
    CHECK(bed->nb_datagrams == 2 && memcmp(bed->message, "STAT pid 4711\r\n", 15) == 0);
}

static void store_value(struct bed *bed, const char *key, uint32_t nb_bytes)
{
    static char ask[70000];
    int head = snprintf(ask, sizeof(ask), "set %s 0 0 %u\r\n", key, nb_bytes);
    memset(ask + head, 'v', nb_bytes);
    memcpy(ask + head + nb_bytes, "\r\n", 2);
    bed_ask_bytes(bed, ask, (uint32_t)head + nb_bytes + 2);
    CHECK(bed->message_bytes == 8 && memcmp(bed->message, "STORED\r\n", 8) == 0);
}

/* Every value length around the datagram's: the message is complete and split at the limit. */
static void splitting(struct bed *bed)
{
    for (uint32_t nb = 1300; nb < 1420; nb++) {
        char head[32];
        store_value(bed, "long", nb);
        bed_ask_bytes(bed, "get long\r\n", 10);
        uint32_t head_bytes = (uint32_t)snprintf(head, sizeof(head), "VALUE long 0 %u\r\n", nb);
        CHECK(bed->message_bytes == head_bytes + nb + 7);
        CHECK(bed->nb_datagrams == (bed->message_bytes + 1391) / 1392);
        CHECK(memcmp(bed->message, head, head_bytes) == 0);
        CHECK(memcmp(bed->message + bed->message_bytes - 8, "v\r\nEND\r\n", 8) == 0);
    }
    store_value(bed, "huge", 65000);
    bed_ask_bytes(bed, "get huge\r\n", 10);
    CHECK(bed->nb_datagrams == 47 && bed->message_bytes == 65000 + 27);
    bed_expect(bed, "get huge huge\r\n", TOO_LARGE);
}

/* The longest value that `ask` may cause from an untrusted source; one byte more is refused. */
static void amplification_bound(struct bed *bed, const char *ask, uint32_t longest)
{
    for (uint32_t nb = longest; nb <= longest + 1; nb++) {
        bed->who = BED_ADMIN;
        store_value(bed, "s", nb);
        bed->who = BED_UNTRUSTED;
        bed_ask_bytes(bed, ask, (uint32_t)strlen(ask));
        bool refused = memcmp(bed->message, TOO_LARGE, 30) == 0;
        CHECK(bed->drop == DROP_NONE && refused == (nb > longest));
        CHECK(bed->message_bytes == (refused ? 30 : 21 + nb));
    }
    bed->who = BED_ADMIN;
}

/* A message of exactly 64 datagrams is sent; one byte more is refused. */
static void datagram_bound(struct bed *bed)
{
    store_value(bed, "a", 60000);                      /* VALUE a 0 60000\r\n ... \r\n: 60019 */
    store_value(bed, "b", 1392 * 64 - 60019 - 5 - 19); /* END\r\n: 5 */
    bed_ask_bytes(bed, "get a b\r\n", 9);
    CHECK(bed->nb_datagrams == 64 && bed->message_bytes == 1392 * 64);
    store_value(bed, "b", 1392 * 64 - 60019 - 5 - 19 + 1);
    bed_expect(bed, "get a b\r\n", TOO_LARGE);
}

static void amplification(struct bed *bed)
{
    store_value(bed, "amplify", 100);
    bed->who = BED_UNTRUSTED;
    bed_expect(bed, "get amplify\r\n", TOO_LARGE); /* 21 bytes may cause 63 */
    bed_expect(bed, "gets amplify\r\n", TOO_LARGE);
    bed_ask_bytes(bed, "g\r\n", 3); /* 11 bytes cause 15 */
    CHECK(bed->drop == DROP_NONE);
    bed_expect(
        bed, "get amplify                                     \r\n",
        "VALUE amplify 0 100\r\nvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"
        "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv\r\nEND\r\n");
    bed_ask_bytes(bed, "\n\n\n\n",
                  4); /* 12 bytes: of the errors (36) and the short one none fits */
    CHECK(bed->drop == DROP_NONE && bed->message_bytes == 28);
    bed_ask_bytes(bed, "\n\n", 2);
    CHECK(bed->drop == DROP_NONE);
    bed_ask_bytes(bed, "a\nb\nc", 5);
    CHECK(bed->drop == DROP_NONE);
    store_value(bed, "s", 10);
    bed_ask_bytes(bed, "get s\n", 6); /* 14 bytes: 42; 8 + 30 */
    CHECK(bed->drop == DROP_NONE && bed->message_bytes + 8 <= 42);
    amplification_bound(bed, "get s\r\n", 16);    /* 15 bytes: 45 = 8 + 21 + 16 */
    amplification_bound(bed, "get s t\r\n", 22);  /* 17 bytes: 51 */
    amplification_bound(bed, "get  s t\r\n", 25); /* the general interpreter: 18 bytes, 54 */
}

enum { NB_BURSTS = 3000, BURST = 40, ROOM = 1400 };

/* Draw a datagram: get, set, several commands, long reply, nothing. */
static uint32_t draw_request(struct random *random, uint8_t *to)
{
    uint64_t draw = random_next(random);
    unsigned key = (unsigned)(draw >> 8) % 8, nb = (unsigned)(draw >> 16) % 300;
    memcpy(to, "\0\0\0\0\0\1\0\0", 8);
    to[1] = (uint8_t)draw;
    char *text = (char *)to + 8;
    int len;
    switch (draw % 6) {
    case 0:
    case 1:
        len = sprintf(text, "get key-%u\r\n", key);
        break;
    case 2:
        len = sprintf(text, "set key-%u 0 0 %u\r\n%0*u\r\n", key, nb + 1, (int)nb + 1, key);
        break;
    case 3:
        len = sprintf(text, "gets key-%u\r\nincr key-1 1\r\ndelete key-2\r\n", key);
        break;
    case 4:
        len = sprintf(text, "get key-0 key-1 key-2 key-3 key-4 key-5 key-6 key-7 key-%u\r\n", key);
        break;
    default:
        len = sprintf(text, "append key-%u 0 0 1 noreply\r\n0\r\n", key);
    }
    return 8 + (uint32_t)len;
}

struct outcome {
    uint32_t nb_datagrams;
    uint64_t bytes; /* a sum over all reply bytes in order */
};

/* Run one burst through one service; write an outcome per request. */
static void run_burst(struct bed *bed, uint8_t data[][ROOM], const uint32_t *lens, unsigned nb,
                      struct outcome *outcomes)
{
    static uint8_t rooms[BURST][ROOM], spares[SERVICE_BURST_MAX][ROOM];
    struct request requests[BURST];
    struct reply replies[SERVICE_BURST_MAX];
    unsigned nb_new = nb;
    bool more;
    for (unsigned i = 0; i < nb; i++) {
        requests[i] = (struct request){.data = data[i],
                                       .len = lens[i],
                                       .source = bed_source(BED_ADMIN),
                                       .room = bed->alias ? data[i] : rooms[i],
                                       .room_bytes = ROOM};
        outcomes[i] = (struct outcome){0};
    }
    do {
        for (unsigned i = 0; i < bed->nb_slots; i++)
            replies[i].spare = spares[i];
        unsigned nb_replies =
            bed_handle_burst(bed, requests, nb_new, replies, bed->nb_slots, &more);
        CHECK(nb_replies > 0 || !more);
        for (unsigned i = 0; i < nb_replies; i++) {
            struct outcome *outcome = &outcomes[replies[i].request];
            outcome->nb_datagrams++;
            for (uint32_t k = 0; k < replies[i].len; k++)
                outcome->bytes = outcome->bytes * 31 + replies[i].data[k];
        }
        nb_new = 0;
    } while (more);
    for (unsigned i = 0; i < nb; i++)
        CHECK((outcomes[i].nb_datagrams > 0) == (requests[i].drop == DROP_NONE));
}

/* The same requests, in bursts in place with few slots, and one by one in separate rooms. */
static void bursts_are_sequences(unsigned nb_slots)
{
    static uint8_t data[BURST][ROOM], copy[BURST][ROOM];
    static struct bed burst, single;
    struct random random = {nb_slots};
    uint32_t lens[BURST];
    struct outcome in_burst[BURST], alone[BURST];
    bed_open(&burst, 1 << 20);
    bed_open(&single, 1 << 20);
    burst.alias = true;
    burst.nb_slots = nb_slots;
    for (unsigned i = 0; i < NB_BURSTS; i++) {
        unsigned nb = 1 + (unsigned)(random_next(&random) % BURST);
        for (unsigned k = 0; k < nb; k++)
            lens[k] = draw_request(&random, data[k]);
        memcpy(copy, data, sizeof(copy));
        run_burst(&burst, data, lens, nb, in_burst);
        for (unsigned k = 0; k < nb; k++) {
            run_burst(&single, copy + k, lens + k, 1, alone + k);
            CHECK(in_burst[k].nb_datagrams == alone[k].nb_datagrams);
            CHECK(in_burst[k].bytes == alone[k].bytes);
        }
    }
    bed_close(&burst);
    bed_close(&single);
}

int main(void)
{
    struct bed *bed = calloc(1, sizeof(*bed));
    CHECK(bed != NULL);
    for (unsigned mode = 0; mode < 4; mode++) {
        bed_open(bed, 1 << 20);
        bed->alias = mode & 1;
        bed->nb_slots = mode & 2 ? 1 : SERVICE_BURST_MAX;
        drops(bed);
        administration(bed);
        splitting(bed);
        datagram_bound(bed);
        amplification(bed);
        bed_close(bed);
    }
    bursts_are_sequences(1);
    bursts_are_sequences(3);
    bursts_are_sequences(SERVICE_BURST_MAX);
    free(bed);
    return 0;
}
