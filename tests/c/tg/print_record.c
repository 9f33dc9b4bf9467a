/* SPDX-License-Identifier: BSD-3-Clause */
/* Record the numbers on stdin in two parts, merge the parts, and print value and count of each used
 * place. tests/unit/tg/test_record.py compares the result with HdrHistogram. */
#include <inttypes.h>

#include "../check.h"
#include "record.h"

static struct record part, sum;

int main(void)
{
    uint64_t ns, nb_over = 0;

    record_reset(&part);
    record_reset(&sum);
    while (scanf("%" SCNu64, &ns) == 1) {
        record_add(&part, ns);
        nb_over += ns > RECORD_MAX_NS;
        if (ns % 3 == 0) {
            record_merge(&sum, &part);
            record_reset(&part);
        }
    }
    record_merge(&sum, &part);
    for (uint32_t place = sum.low; place < sum.high; place++)
        if (sum.counts[place] > 0)
            printf("%" PRIu64 " %" PRIu64 "\n", record_value_ns(place), sum.counts[place]);
    CHECK(sum.nb_over == nb_over);
    CHECK(sum.low == RECORD_PLACES || sum.counts[sum.low] > 0);
    return 0;
}
