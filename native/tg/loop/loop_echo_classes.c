/* SPDX-License-Identifier: BSD-3-Clause */
/* The turn of the load echo where keys have classes of lengths. */
#include "loop_echo.h"

#define LOAD_CLASSES CLASSES_MAX
#include "load_echo.h"
#include "turn.h"

uint64_t echo_turn_classes(struct loop *loop)
{
    return turn_do(loop);
}
