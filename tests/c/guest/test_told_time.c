/* SPDX-License-Identifier: BSD-3-Clause */
/* The time of day that a machine receives on its serial line, among other text. */
#include "told_time.h"

#include "../check.h"

/* Return the last time in a text; 0: none. */
static uint64_t heard(const char *text)
{
    struct told_time told = {0};
    uint64_t last = 0;

    for (; *text != '\0'; text++) {
        uint64_t ns = told_time_take(&told, *text);
        last = ns > 0 ? ns : last;
    }
    return last;
}

int main(void)
{
    CHECK(heard("t1796077324119031803\n") == 1796077324119031803u);
    CHECK(heard("\nct5\nq\n") == 5 && heard("t1\nt2\n") == 2 && heard("t12t34\n") == 34);
    CHECK(heard("t9999999999999999999\n") == 9999999999999999999u);
    CHECK(heard("t10000000000000000000\n") == 0); /* too long */
    CHECK(heard("1796077324119031803\n") == 0 && heard("t\n") == 0 && heard("t0\n") == 0);
    CHECK(heard("t12c3\n") == 0 && heard("t-1\n") == 0 && heard("t 1\n") == 0);
    CHECK(heard("t12") == 0);
    return 0;
}
