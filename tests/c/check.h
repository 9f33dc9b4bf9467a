/* SPDX-License-Identifier: BSD-3-Clause */
/* CHECK: an assertion in every build. A failed check is printed, and the program exits with 1. */
#ifndef NEARMETAL_TEST_CHECK_H
#define NEARMETAL_TEST_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition);          \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#endif
