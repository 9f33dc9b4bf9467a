/* SPDX-License-Identifier: BSD-3-Clause */
/* The turn of the load kv where keys have classes of lengths. */
#include "loop_kv.h"

#define LOAD_CLASSES CLASSES_MAX
#include "load_kv.h"
#include "turn.h"

uint64_t kv_turn_classes(struct loop *loop)
{
    return turn_do(loop);
}
