/* SPDX-License-Identifier: BSD-3-Clause */
/* The load echo: its set-up, and its turn where all requests of a kind have the same length. */
#include "loop_echo.h"

#define LOAD_CLASSES 1
#include "load_echo.h"
#include "turn.h"

uint64_t echo_turn(struct loop *loop)
{
    return turn_do(loop);
}

static bool echo_init(struct loop *loop, const struct load_config *config)
{
    if (!classes_init(&loop->classes, config->lengths, config->nb_classes))
        return false;
    loop->state.echo.stamped = config->stamped;
    loop->state.echo.stamp = config->stamp;
    loop->request_bytes = loop->reply_bytes = loop->classes.request_bytes;
    loop->turn = config->nb_classes == 1 ? echo_turn : echo_turn_classes;
    return true;
}

static bool echo_open(struct loop *loop)
{
    (void)loop;
    return true;
}

static void echo_nothing(struct loop *loop)
{
    (void)loop;
}

static uint32_t echo_first_write(const struct loop *loop, uint8_t *room)
{
    return format_request(keyed_first(loop), room, 0, OP_GET, 0, 0);
}

static bool echo_first_check(const struct loop *loop, const uint8_t *reply, uint32_t len)
{
    const struct format *format = keyed_first(loop);
    struct expected expected = {.op = OP_GET, .digits = format_digits(format, 0)};

    return check_echo(format, &expected, reply, len) == VERDICT_RIGHT;
}

const struct load_type load_echo = {.name = "echo",
                                    .stamps = true,
                                    .init = echo_init,
                                    .open = echo_open,
                                    .close = echo_nothing,
                                    .forget = echo_nothing,
                                    .first_write = echo_first_write,
                                    .first_check = echo_first_check};
