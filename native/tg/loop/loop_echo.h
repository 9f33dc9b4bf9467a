/* SPDX-License-Identifier: BSD-3-Clause */
/* The turns of the load echo. */
#ifndef NEARMETAL_TG_LOOP_ECHO_H
#define NEARMETAL_TG_LOOP_ECHO_H

#include "loop.h"

/* All keys have the same lengths. */
uint64_t echo_turn(struct loop *loop);

/* Each key has the lengths of its class. */
uint64_t echo_turn_classes(struct loop *loop);

#endif
