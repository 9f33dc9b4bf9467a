/* SPDX-License-Identifier: BSD-3-Clause */
/* The turns of the load kv. */
#ifndef NEARMETAL_TG_LOOP_KV_H
#define NEARMETAL_TG_LOOP_KV_H

#include "loop.h"

/* All keys have the same lengths. */
uint64_t kv_turn(struct loop *loop);

/* Each key has the lengths of its class. */
uint64_t kv_turn_classes(struct loop *loop);

#endif
