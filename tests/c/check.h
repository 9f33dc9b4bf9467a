/* SPDX-License-Identifier: BSD-3-Clause */
/* What a test demands: live in every build. Where it does not hold it says so, and ends the
 * program. */
#ifndef NEARMETAL_TEST_CHECK_H
#define NEARMETAL_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#endif
