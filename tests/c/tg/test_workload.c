/* SPDX-License-Identifier: BSD-3-Clause */
/* Draws: determinism, shares, Zipf's law; and the bytes of keys, values and requests. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../check.h"
#include "workload.h"

static struct workload one, other;

static void same_seed_same_draws(void)
{
    struct workload_config config = {
        .nb_keys = 1000, .set = 0.2, .miss = 0.1, .zipf = 0.99, .seed = 7};
    unsigned nb_same = 0;

    workload_init(&one, &config);
    workload_init(&other, &config);
    for (unsigned i = 0; i < 10000; i++) {
        struct draw a = workload_draw(&one), b = workload_draw(&other);

        CHECK(a.number == b.number && a.op == b.op && a.tries == 0);
    }
    config.seed = 8;
    workload_init(&other, &config);
    for (unsigned i = 0; i < 10000; i++)
        nb_same += workload_draw(&one).number == workload_draw(&other).number;
    CHECK(nb_same < 5000);
}

static void shares_are_kept(void)
{
    struct workload_config config = {.nb_keys = 1000, .set = 0.2, .miss = 0.1, .seed = 1};
    unsigned nb_set = 0, nb_miss = 0, nb = 1000000;

    workload_init(&one, &config);
    for (unsigned i = 0; i < nb; i++) {
        struct draw draw = workload_draw(&one);

        CHECK(draw.number < 2000);
        CHECK(draw.op == OP_GET || draw.number < 1000);
        nb_set += draw.op == OP_SET;
        nb_miss += draw.number >= 1000;
        workload_redraw(&one, &draw);
        CHECK(draw.number < 2000);
    }
    /* Five standard deviations of a binomial count. */
    CHECK(fabs(nb_set - 0.2 * nb) < 5 * sqrt(nb * 0.2 * 0.8));
    CHECK(fabs(nb_miss - 0.1 * nb) < 5 * sqrt(nb * 0.1 * 0.9));
}

static void all_of_one_kind(void)
{
    struct workload_config config = {.nb_keys = 1, .set = 1, .zipf = 0.99, .seed = 1};

    workload_init(&one, &config);
    for (unsigned i = 0; i < 10000; i++) {
        struct draw draw = workload_draw(&one);

        CHECK(draw.op == OP_SET && draw.number == 0);
    }
}

/* Ranks in groups of doubling width: the count of each within five standard deviations. */
static void zipf_follows_its_law(uint32_t nb_ranks, double exponent)
{
    static struct zipf zipf;
    static double weight[32], count[32];
    struct random random = {.state = 99};
    double sum = 0, nb = 4e6;

    memset(weight, 0, sizeof(weight));
    memset(count, 0, sizeof(count));
    zipf_init(&zipf, nb_ranks, exponent);
    for (uint32_t rank = 0; rank < nb_ranks; rank++) {
        double w = pow(rank + 1.0, -exponent);

        weight[31 - __builtin_clz(rank + 1)] += w;
        sum += w;
    }
    for (unsigned i = 0; i < (unsigned)nb; i++) {
        uint32_t rank = zipf_draw(&zipf, &random);

        CHECK(rank < nb_ranks);
        count[31 - __builtin_clz(rank + 1)]++;
    }
    for (unsigned group = 0; group < 32; group++) {
        double p = weight[group] / sum;

        CHECK(fabs(count[group] - nb * p) <= 5 * sqrt(nb * p * (1 - p)) + 1e-9);
    }
}

/* Zipf's law inside a segment: the share of draws in the first half of segments of several ranks.
 * Probability falls by less than 2 % there, so a significant count needs many draws. */
static void zipf_is_exact_within_a_segment(void)
{
    enum { NB_RANKS = 100000, HALVES = 2 };
    static struct zipf zipf;
    static uint8_t half[NB_RANKS]; /* 0: alone in its segment; 1, 2 */
    struct random random = {.state = 3};
    double weight[1 + HALVES] = {0}, count[1 + HALVES] = {0}, nb, p;

    zipf_init(&zipf, NB_RANKS, 0.99);
    for (uint32_t i = 0; i < zipf.nb_segments; i++)
        for (uint32_t j = 0; j < zipf.segments[i].nb_ranks; j++) {
            uint32_t rank = zipf.segments[i].first + j, nb_ranks = zipf.segments[i].nb_ranks;

            half[rank] = nb_ranks == 1 ? 0 : j < nb_ranks / 2 ? 1 : 2;
            weight[half[rank]] += pow(rank + 1.0, -0.99);
        }
    for (unsigned i = 0; i < 32000000; i++)
        count[half[zipf_draw(&zipf, &random)]]++;
    nb = count[1] + count[2];
    p = weight[1] / (weight[1] + weight[2]);
    CHECK(fabs(count[1] - nb * p) < 5 * sqrt(nb * p * (1 - p)));
}

/* Every key belongs to one rank: the scattering loses no key. */
static void every_key_is_reached(uint32_t nb_keys)
{
    struct workload_config config = {.nb_keys = nb_keys, .zipf = 0.01, .seed = 5};
    static bool seen[4096];
    uint32_t nb_seen = 0;

    memset(seen, 0, sizeof(seen));
    workload_init(&one, &config);
    for (unsigned i = 0; i < 100 * nb_keys; i++) {
        uint32_t number = workload_draw(&one).number;

        nb_seen += !seen[number];
        seen[number] = true;
    }
    CHECK(nb_seen == nb_keys);
}

/* The documented formula, rank * step + shift mod nb_keys, also where one part more would show. */
static void keys_are_where_they_should(uint32_t nb_keys)
{
    struct workload_config config = {.nb_keys = nb_keys, .zipf = 0.99, .seed = nb_keys};
    struct random random = {.state = 17};

    workload_init(&one, &config);
    for (uint32_t i = 0; i < 1000000; i++) {
        uint32_t rank = i < 1000 ? nb_keys - 1 - i % nb_keys
                                 : random_scale((uint32_t)random_next(&random), nb_keys);

        CHECK(workload_key(&one, rank) == (rank * one.step + one.shift) % nb_keys);
    }
}

static void values_round_trip(uint32_t bytes)
{
    uint8_t value[REPLY_BYTES_MAX];
    uint32_t version;

    value_fill(value, bytes, 123456, 77);
    CHECK(value_matches(value, bytes, 123456, &version) && version == 77);
    CHECK(!value_matches(value, bytes, 123457, &version));
    for (uint32_t at = 0; at < bytes; at++) {
        value[at] ^= 0x40;
        /* Without a whole word of pattern, the change can give another version's value. */
        CHECK(!value_matches(value, bytes, 123456, &version) || (bytes < 16 && version != 77));
        value[at] ^= 0x40;
    }
}

static void digits_are(struct digits digits, uint32_t number)
{
    char text[16], made[10];

    snprintf(text, sizeof(text), "%010u", number);
    memcpy(made, &digits.high, 2);
    memcpy(made + 2, &digits.low, 8);
    CHECK(memcmp(made, text, 10) == 0);
}

static void digits_are_printf_s(void)
{
    static const uint32_t edges[] = {0,     9,        10,       99,        100,       9999,
                                     10000, 99999999, 99990000, 100000000, 999999999, UINT32_MAX};
    struct random random = {.state = 11};
    struct digits pair[2];

    for (unsigned i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
        digits_are(digits_make(edges[i]), edges[i]);
    for (uint32_t i = 0; i < 1000000; i++) {
        uint32_t low = random_scale((uint32_t)random_next(&random), 100000000);
        uint32_t high = i < 100000 ? 100 * i + i % 100 : 99999999 - low;

        digits_are(digits_make(low << (i % 6)), low << (i % 6));
        digits_make_pair(low, high, pair);
        digits_are(pair[0], low);
        digits_are(pair[1], high);
    }
}

static void requests_read_as_they_should(void)
{
    struct format format;
    uint8_t room[FORMAT_HEAD_BYTES_MAX + REPLY_BYTES_MAX];
    uint32_t len, number;

    CHECK(format_init(&format, 16, 32));
    len = format_request(&format, room, 0x1234, OP_GET, 4294967295u, 0);
    CHECK(len == 8 + 22 && len == format.get_bytes);
    CHECK(memcmp(room, "\x12\x34\0\0\0\1\0\0get nm00004294967295\r\n", len) == 0);
    CHECK(format_parse_key(room + 12, 16, &number) && number == 4294967295u);
    len = format_request(&format, room, 5, OP_SET, 42, 9);
    CHECK(len == format.set_bytes);
    CHECK(memcmp(room, "\0\5\0\0\0\1\0\0set nm00000000000042 0 0 32\r\n", 37) == 0);
    CHECK(value_matches(room + 37, 32, 42, &number) && number == 9);
    CHECK(memcmp(room + 69, "\r\n", 2) == 0 && len == 71);
    len = format_hit_head(&format, room, 6, 42);
    CHECK(memcmp(room, "\0\6\0\0\0\1\0\0VALUE nm00000000000042 0 32\r\n", len) == 0);
    CHECK(!format_parse_key((const uint8_t *)"nm99999999999", 13, &number));
    CHECK(!format_parse_key((const uint8_t *)"nm000000000x", 12, &number));
    CHECK(!format_parse_key((const uint8_t *)"mn0000000001", 12, &number));
    CHECK(!format_parse_key((const uint8_t *)"nm00001", 7, &number));
}

/* The highest number of each length, compared with printf: no byte beside the digits changes. */
static void short_keys_read_as_they_should(uint32_t key_bytes)
{
    struct format format;
    uint8_t room[FORMAT_HEAD_BYTES_MAX + REPLY_BYTES_MAX];
    uint64_t nb = format_keys_max(key_bytes);
    char text[64];

    CHECK(format_init(&format, key_bytes, 8));
    for (uint64_t number = nb - 1, len, parsed; number > 0; number = number * 3 / 7) {
        uint32_t found, n = (uint32_t)number;
        int chars = snprintf(text, sizeof(text), "get nm%0*u\r\n", (int)key_bytes - 2, n);

        len = format_request(&format, room, 0x1234, OP_GET, n, 0);
        CHECK(len == format.get_bytes && len == 8 + (uint64_t)chars && chars == (int)key_bytes + 6);
        CHECK(memcmp(room, "\x12\x34\0\0\0\1\0\0", 8) == 0);
        CHECK(memcmp(room + 8, text, (size_t)chars) == 0);
        CHECK(format_parse_key(room + 12, key_bytes, &found) && found == n);
        snprintf(text, sizeof(text), "set nm%0*u 0 0 8\r\n", (int)key_bytes - 2, n);
        len = format_request(&format, room, 5, OP_SET, n, 9);
        parsed = strlen(text);
        CHECK(len == format.set_bytes && len == 8 + parsed + 10);
        CHECK(memcmp(room + 8, text, parsed) == 0);
        CHECK(value_matches(room + 8 + parsed, 8, n, &found) && found == 9);
        snprintf(text, sizeof(text), "VALUE nm%0*u 0 8\r\n", (int)key_bytes - 2, n);
        len = format_hit_head(&format, room, 6, n);
        CHECK(len == 8 + strlen(text) && memcmp(room + 8, text, strlen(text)) == 0);
        CHECK(format.hit_bytes == len + 8 + 7);
    }
}

static void the_paper_s_frames(void)
{
    struct format format;

    CHECK(format_init(&format, 8, 8));
    CHECK(42 + format.get_bytes == 64 && 42 + format.hit_bytes == 85);
}

static void sizes_have_bounds(void)
{
    struct format format;

    CHECK(format_init(&format, 8, 8) && format_init(&format, 250, 8));
    CHECK(!format_init(&format, 7, 16) && !format_init(&format, 251, 16));
    CHECK(!format_init(&format, 16, 7) && !format_init(&format, 16, 2000));
    CHECK(format_keys_max(8) == 1000000 && format_keys_max(9) == 10000000);
    CHECK(format_keys_max(10) == 100000000 && format_keys_max(11) == 100000000);
    CHECK(format_keys_max(12) == 1ull << 32 && format_keys_max(250) == 1ull << 32);
    CHECK(format_init(&format, 16, 1354) && format.hit_bytes == REPLY_BYTES_MAX);
    CHECK(!format_init(&format, 16, 1355));
}

int main(void)
{
    same_seed_same_draws();
    shares_are_kept();
    all_of_one_kind();
    zipf_follows_its_law(1000000, 0.99);
    zipf_follows_its_law(100000, 1.0);
    zipf_follows_its_law(65, 1.7);
    zipf_follows_its_law(1, 0.99);
    zipf_is_exact_within_a_segment();
    every_key_is_reached(1000);
    every_key_is_reached(1);
    every_key_is_reached(2);
    every_key_is_reached(4095);
    keys_are_where_they_should(1);
    keys_are_where_they_should(1000000);
    keys_are_where_they_should(WORKLOAD_KEYS_MAX - 1);
    keys_are_where_they_should(WORKLOAD_KEYS_MAX);
    for (uint32_t bytes = VALUE_BYTES_MIN; bytes <= REPLY_BYTES_MAX; bytes += 1 + bytes / 5)
        values_round_trip(bytes);
    values_round_trip(17);
    values_round_trip(23);
    values_round_trip(REPLY_BYTES_MAX);
    digits_are_printf_s();
    requests_read_as_they_should();
    for (uint32_t key_bytes = KEY_BYTES_MIN; key_bytes < KEY_BYTES_LONG; key_bytes++)
        short_keys_read_as_they_should(key_bytes);
    the_paper_s_frames();
    sizes_have_bounds();
    return 0;
}
