/* SPDX-License-Identifier: BSD-3-Clause */
/* Draws and digits by AVX2 are those that are made one by one; on a processor without it, nothing
 * is left to test. */
#include <stdio.h>
#include <string.h>

#include "../check.h"
#include "wide.h"

enum { DRAWS = 128, BURSTS = 5000 };

static struct workload wide, narrow;

/* Bursts of all lengths, so that groups begin anywhere, and what is left is drawn one by one. Small
 * key spaces have few segments; in large ones many ranks are drawn again. */
static void draws_are_the_same(struct workload_config config)
{
    struct draw draws[DRAWS], right[DRAWS];

    workload_init(&wide, &config);
    workload_init(&narrow, &config);
    narrow.wide = false;
    for (unsigned burst = 0; burst < BURSTS; burst++) {
        const unsigned nb = 1 + burst % DRAWS;

        workload_fill(&wide, draws, nb);
        workload_fill(&narrow, right, nb);
        CHECK(memcmp(draws, right, nb * sizeof(draws[0])) == 0);
    }
    CHECK(wide.random.state == narrow.random.state);
}

static void number_is_printed(uint32_t number, const struct digits *digits)
{
    char right[11], text[11] = {0};

    snprintf(right, sizeof(right), "%010u", number);
    memcpy(text, &digits->high, 2);
    memcpy(text + 2, &digits->low, 8);
    CHECK(strcmp(text, right) == 0);
}

static void digits_are_printf_s(void)
{
    struct draw draws[11];
    struct digits digits[11];
    struct random random = {.state = 5};

    for (unsigned i = 0; i < 200000; i++) {
        const unsigned nb = i % 12;

        for (unsigned j = 0; j < nb; j++)
            draws[j] =
                (struct draw){.number = (uint32_t)random_next(&random) >> random_next(&random) % 32,
                              .op = OP_SET,
                              .tries = 255};
        if (nb > 0)
            draws[i % nb].number = i % 2 == 0 ? 100000000 : 99999999;
        CHECK(wide_digits(draws, digits, nb) == nb / 4 * 4);
        for (unsigned j = 0; j < nb / 4 * 4; j++)
            number_is_printed(draws[j].number, &digits[j]);
    }
}

int main(void)
{
    if (!wide_supported())
        return 77; /* meson: skipped */
    draws_are_the_same((struct workload_config){.nb_keys = 1, .zipf = 0.99, .seed = 1});
    draws_are_the_same((struct workload_config){
        .nb_keys = 1000, .set = 0.2, .miss = 0.1, .zipf = 0.99, .seed = 7});
    draws_are_the_same(
        (struct workload_config){.nb_keys = 1000000, .set = 0.05, .zipf = 0.99, .seed = 2});
    draws_are_the_same((struct workload_config){
        .nb_keys = 5000, .first = 20000, .nb_all = 30000, .miss = 0.5, .zipf = 1.5, .seed = 3});
    draws_are_the_same((struct workload_config){
        .nb_keys = WORKLOAD_KEYS_MAX, .miss = 0.5, .zipf = 0.01, .seed = 4});
    draws_are_the_same(
        (struct workload_config){.nb_keys = WORKLOAD_KEYS_MAX - 1, .zipf = 2, .seed = 5});
    digits_are_printf_s();
    return 0;
}
