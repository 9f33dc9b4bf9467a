/* SPDX-License-Identifier: BSD-3-Clause */
/* A claim of a test: says where and what when it does not hold, and ends the program. */
#ifndef NEARMETAL_TEST_EXPECT_H
#define NEARMETAL_TEST_EXPECT_H

#include <stdio.h>
#include <stdlib.h>

#define EXPECT(claim)                                                                              \
    do {                                                                                           \
        if (!(claim)) {                                                                            \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #claim);                    \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#endif
