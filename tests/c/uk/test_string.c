/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The micro-library `string` compared with the C library: every size up to some hundred bytes, at
 * every offset in a cache line, overlapping by every distance. Its functions are renamed here
 * (meson.build), because this program also needs the C library's functions.
 */
#include <stdint.h>
#include <string.h>

#include "../check.h"

void *uk_memcpy(void *restrict to, const void *restrict from, size_t nb_bytes);
void *uk_memmove(void *to, const void *from, size_t nb_bytes);
void *uk_memset(void *to, int byte, size_t nb_bytes);
int uk_memcmp(const void *a, const void *b, size_t nb_bytes);

enum { NB_MAX = 300, OFFSETS = 17, ROOM = 1024 };

static uint8_t ours[ROOM], theirs[ROOM], other[ROOM];

/* Fill both with the same, varying bytes. */
static void fill(void)
{
    for (unsigned i = 0; i < ROOM; i++) {
        ours[i] = theirs[i] = (uint8_t)(i * 7 + i / 256);
        other[i] = (uint8_t)(i * 13 + 5);
    }
}

static void check_same(void)
{
    CHECK(memcmp(ours, theirs, ROOM) == 0);
}

static void test_copy_and_set(size_t nb)
{
    for (unsigned to = 0; to < OFFSETS; to++) {
        for (unsigned from = 0; from < OFFSETS; from++) {
            CHECK(uk_memcpy(ours + to, other + from, nb) == ours + to);
            memcpy(theirs + to, other + from, nb);
            check_same();
        }
        int byte = (int)(nb + to) - 150; /* only the lowest eight bits count */
        CHECK(uk_memset(ours + to, byte, nb) == ours + to);
        memset(theirs + to, byte, nb);
        check_same();
    }
}

static void test_move(size_t nb)
{
    const int from = NB_MAX + 8;

    for (int by = -(int)nb - 2; by <= (int)nb + 2; by++) {
        fill();
        CHECK(uk_memmove(ours + from + by, ours + from, nb) == ours + from + by);
        memmove(theirs + from + by, theirs + from, nb);
        check_same();
    }
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

static void test_compare(size_t nb)
{
    fill();
    CHECK(uk_memcmp(ours, theirs, nb) == 0);
    for (size_t at = 0; at < nb; at++) {
        uint8_t kept = ours[at];
        for (unsigned value = 0; value < 256; value += 51) {
            ours[at] = (uint8_t)value;
            CHECK(sign(uk_memcmp(ours, theirs, nb)) == sign(memcmp(ours, theirs, nb)));
        }
        CHECK(uk_memcmp(ours, theirs, at) == 0); /* the bytes behind do not count */
        ours[at] = kept;
    }
}

int main(void)
{
    for (size_t nb = 0; nb <= NB_MAX; nb++) {
        fill();
        test_copy_and_set(nb);
        test_move(nb);
        test_compare(nb);
    }
    return 0;
}
