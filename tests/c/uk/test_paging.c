/* SPDX-License-Identifier: BSD-3-Clause */
/* The page tables that `memory` builds, read as the processor reads them. */
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "paging.h"

#define TABLES 16u
#define MIB (1ull << 20)

struct seen {
    bool is_there, is_writable, is_executable, is_cached;
    uint64_t to;
};

static struct paging_table *new_pool(void)
{
    struct paging_table *pool = aligned_alloc(4096, TABLES * sizeof(*pool));

    CHECK(pool != NULL);
    memset(pool, 0xff, TABLES * sizeof(*pool)); /* memory is not zeroed */
    return pool;
}

/* Intel SDM 3A, 4.5 and 4.6: the rights are those that all levels allow. */
static struct seen look(const struct paging *paging, uint64_t address)
{
    const struct paging_table *table = paging->pool;
    struct seen seen = {true, true, true, true, 0};

    for (int shift = 39;; shift -= 9) {
        uint64_t entry = table->entries[address >> shift & 511];
        if (!(entry & 1))
            return (struct seen){0};
        seen.is_writable &= (entry & 2) != 0;
        seen.is_executable &= !(entry >> 63);
        seen.is_cached &= !(entry & 0x10);
        uint64_t to = entry & 0x000ffffffffff000ull;
        if (shift == 12 || entry & 0x80) {
            uint64_t within = (1ull << shift) - 1;
            CHECK((to & within) == 0);
            seen.to = to | (address & within);
            return seen;
        }
        table = (const struct paging_table *)(uintptr_t)to;
    }
}

static void check_kind(const struct paging *paging, uint64_t begin, uint64_t end, bool writable,
                       bool executable, bool cached)
{
    for (uint64_t at = begin; at < end; at += 4096) {
        struct seen seen = look(paging, at + 123);
        CHECK(seen.is_there && seen.to == at + 123);
        CHECK(seen.is_writable == writable && seen.is_executable == executable);
        CHECK(seen.is_cached == cached);
    }
}

static void test_an_image(void)
{
    struct paging_table *pool = new_pool();
    struct paging paging;

    paging_open(&paging, pool, TABLES);
    CHECK(paging_map(&paging, 0x100000, 0x10e000, PAGING_CODE));
    CHECK(paging_map(&paging, 0x10e000, 0x111000, PAGING_CONSTANTS));
    CHECK(paging_map(&paging, 0x111000, 0x113000, PAGING_DATA));
    CHECK(paging_map(&paging, 0x114000, 0x134000, PAGING_DATA)); /* a stack between guards */
    CHECK(paging_map(&paging, 2 * MIB, 64 * MIB, PAGING_DATA));
    CHECK(paging_map(&paging, 0xfee00000, 0xfee01000, PAGING_DEVICE));
    check_kind(&paging, 0x100000, 0x10e000, false, true, true);
    check_kind(&paging, 0x10e000, 0x111000, false, false, true);
    check_kind(&paging, 0x111000, 0x113000, true, false, true);
    check_kind(&paging, 0x114000, 0x134000, true, false, true);
    check_kind(&paging, 2 * MIB, 64 * MIB, true, false, true);
    check_kind(&paging, 0xfee00000, 0xfee01000, true, false, false);
    static const uint64_t nowhere[] = {0,        0xfff,      0xff000,    0x113000,   0x134000,
                                       64 * MIB, 1ull << 30, 0xfee01000, 1ull << 39, ~0ull};
    for (unsigned i = 0; i < sizeof(nowhere) / sizeof(nowhere[0]); i++)
        CHECK(!look(&paging, nowhere[i]).is_there);
    free(pool);
}

/* No mapping is both writable and executable; and an existing mapping is never changed. */
static void test_never_both(void)
{
    for (unsigned first = 0; first < 4; first++) {
        for (unsigned second = 0; second < 4; second++) {
            struct paging_table *pool = new_pool();
            struct paging paging;
            paging_open(&paging, pool, TABLES);
            CHECK(paging_map(&paging, 0x1000, 0x2000, first));
            struct seen before = look(&paging, 0x1000);
            CHECK(paging_map(&paging, 0, 4 * MIB, second));
            struct seen after = look(&paging, 0x1000);
            CHECK(before.to == after.to && before.is_writable == after.is_writable);
            CHECK(before.is_executable == after.is_executable);
            for (uint64_t at = 0; at < 4 * MIB; at += 4096) {
                struct seen seen = look(&paging, at);
                CHECK(seen.is_there && !(seen.is_writable && seen.is_executable));
            }
            free(pool);
        }
    }
}

static void test_no_tables_left(void)
{
    struct paging_table *pool = new_pool();
    struct paging paging;

    paging_open(&paging, pool, 4);
    CHECK(paging_map(&paging, 0x1000, 0x2000, PAGING_DATA));
    CHECK(paging_map(&paging, 2 * MIB, 1024 * MIB, PAGING_DATA)); /* large pages: no more tables */
    CHECK(!paging_map(&paging, 1024 * MIB, 1024 * MIB + 4096, PAGING_DATA));
    CHECK(!paging_map(&paging, 1ull << 47, (1ull << 47) + 4096, PAGING_DATA));
    CHECK(!paging_map(&paging, 8192, 4096, PAGING_DATA));
    free(pool);
}

int main(void)
{
    test_an_image();
    test_never_both();
    test_no_tables_left();
    return 0;
}
