/* SPDX-License-Identifier: BSD-3-Clause */
/* Classes of keys: their shares, their lengths, and that a key has one class. */
#include <math.h>

#include "../check.h"
#include "classes.h"

#define NB_KEYS 1000000u

static struct classes classes;

static void shares_are_kept(const struct class_lengths *lengths, uint32_t nb)
{
    static uint32_t count[CLASSES_MAX];

    for (uint32_t i = 0; i < nb; i++)
        count[i] = 0;
    CHECK(classes_init(&classes, lengths, nb) && classes.nb == nb);
    for (uint32_t number = 0; number < NB_KEYS; number++) {
        uint32_t class = classes_find(&classes, number);

        CHECK(class < nb);
        count[class]++;
    }
    for (uint32_t i = 0; i < nb; i++) {
        double p = lengths[i].share;

        /* Five standard deviations of a binomial count. */
        CHECK(fabs(count[i] - p * NB_KEYS) <= 5 * sqrt(NB_KEYS * p * (1 - p)) + 1e-9);
    }
}

static void one_class_has_all_keys(void)
{
    const struct class_lengths lengths = {.key_bytes = 16, .value_bytes = 32, .share = 1};

    shares_are_kept(&lengths, 1);
    CHECK(classes_find(&classes, UINT32_MAX) == 0);
    CHECK(classes.formats[0].value_bytes == 32 && !classes.some_short);
}

static void many_classes_have_their_shares(void)
{
    const struct class_lengths three[] = {{16, 32, 0.7}, {16, 500, 0.299}, {16, 1000, 0.001}};
    struct class_lengths most[CLASSES_MAX];
    double left = 1;

    shares_are_kept(three, 3);
    for (uint32_t i = 0; i < CLASSES_MAX; i++) {
        most[i] = (struct class_lengths){.key_bytes = 16, .value_bytes = 8 + i, .share = left / 2};
        left /= 2;
    }
    most[0].share += left;
    shares_are_kept(most, CLASSES_MAX);
    for (uint32_t i = 0; i < CLASSES_MAX; i++)
        most[i].share = 1.0 / CLASSES_MAX;
    shares_are_kept(most, CLASSES_MAX);
}

static void the_longest_bounds_the_rooms(void)
{
    const struct class_lengths two[] = {{9, 900, 0.5}, {200, 100, 0.5}};
    const struct class_lengths long_one[] = {{16, 32, 0.5}, {16, 1355, 0.5}};

    CHECK(classes_init(&classes, two, 2) && classes.some_short);
    CHECK(classes.formats[0].key_bytes == 9 && classes.formats[1].key_bytes == 200);
    CHECK(classes.request_bytes == classes.formats[0].set_bytes);
    CHECK(classes.hit_bytes == classes.formats[0].hit_bytes);
    CHECK(!classes_init(&classes, long_one, 2));
}

int main(void)
{
    one_class_has_all_keys();
    many_classes_have_their_shares();
    the_longest_bounds_the_rooms();
    return 0;
}
