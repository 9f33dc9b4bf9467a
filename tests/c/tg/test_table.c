/* SPDX-License-Identifier: BSD-3-Clause */
/* Tables of sizes around a large page: zeroed, writable to the end, zeroed when opened again. */
#include <stdint.h>
#include <string.h>

#include "../check.h"
#include "table.h"

static void a_table_is_zero_and_ours(size_t bytes)
{
    for (unsigned i = 0; i < 3; i++) {
        uint8_t *table = table_open(bytes);

        CHECK(table != NULL);
        for (size_t at = 0; at < bytes; at += 4096)
            CHECK(table[at] == 0);
        CHECK(table[bytes - 1] == 0);
        memset(table, 0xee, bytes);
        table_close(table, bytes);
    }
}

int main(void)
{
    const size_t page = (size_t)2 << 20;

    a_table_is_zero_and_ours(1);
    a_table_is_zero_and_ours(page - 1);
    a_table_is_zero_and_ours(page);
    a_table_is_zero_and_ours(page + 1);
    a_table_is_zero_and_ours(3 * page - 1);
    table_close(NULL, 1);
    table_close(NULL, 2 * page);
    return 0;
}
