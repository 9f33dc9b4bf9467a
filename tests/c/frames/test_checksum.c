/* SPDX-License-Identifier: BSD-3-Clause */
/* checksum.h against the definition, for every length of a frame and with carries. */
#include "checksum.h"

#include <string.h>

#include "bed.h"
#include "../check.h"

static uint16_t of(const uint8_t *bytes, uint32_t nb)
{
    uint16_t folded = (uint16_t)~checksum_fold(checksum_add(0, bytes, nb));
    uint8_t stored[2];
    memcpy(stored, &folded, 2);
    return (uint16_t)bed_get16(stored);
}

/* RFC 1071, 3: the sum of 00 01 f2 03 f4 f5 f6 f7 is ddf2. */
static void test_rfc_1071_example(void)
{
    const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    CHECK(of(bytes, sizeof(bytes)) == 0x220d); /* ~0xddf2 */
}

static void test_every_length(void)
{
    uint8_t bytes[1600];
    uint32_t state = 1;
    for (uint32_t i = 0; i < sizeof(bytes); i++) {
        state = state * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(state >> 24);
    }
    for (uint32_t nb = 0; nb <= sizeof(bytes); nb++) {
        CHECK(of(bytes, nb) == bed_checksum(0, bytes, nb));
        CHECK(of(bytes + 1, nb > 0 ? nb - 1 : 0) ==
              bed_checksum(0, bytes + 1, nb > 0 ? nb - 1 : 0));
    }
    memset(bytes, 0xff, sizeof(bytes)); /* the most carries possible */
    for (uint32_t nb = 1; nb <= sizeof(bytes); nb++)
        CHECK(of(bytes, nb) == bed_checksum(0, bytes, nb));
}

static void test_folding_keeps_carries(void)
{
    CHECK(checksum_fold(0) == 0);
    CHECK(checksum_fold(0xffff) == 0xffff);
    CHECK(checksum_fold(0x10000) == 1);
    CHECK(checksum_fold(0x1ffff) == 1);
    CHECK(checksum_fold(0xffffffff) == 0xffff);
    CHECK(checksum_fold(0x1fffeffff) == 0xffff);
    CHECK(checksum_fold(0xffffffffffffffff) == 0xffff);
}

int main(void)
{
    test_rfc_1071_example();
    test_every_length();
    test_folding_keeps_carries();
    return 0;
}
