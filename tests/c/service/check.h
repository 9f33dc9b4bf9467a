/* SPDX-License-Identifier: BSD-3-Clause */
/* A check that is live in every build, and says where it failed. */
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
