/* SPDX-License-Identifier: BSD-3-Clause */
/* The load kv: its set-up, what is rare, and its turn where all keys have the same lengths. */
#include "loop_kv.h"

#define LOAD_CLASSES 1
#include "load_kv.h"
#include "turn.h"

#define REDRAWS_MAX 8u

uint64_t kv_turn(struct loop *loop)
{
    return turn_do(loop);
}

static bool conflicts(const struct loop *loop, const struct draw *draw)
{
    return (draw->op == OP_SET || loop->state.kv.no_overlap) &&
           keys_setting(&loop->state.kv.keys, draw->number);
}

/* After REDRAWS_MAX draws take the next free key. */
bool kv_settle(struct loop *loop, struct draw *draw)
{
    for (unsigned i = 0; i < REDRAWS_MAX && conflicts(loop, draw); i++)
        workload_redraw(&loop->workload, draw);
    for (uint32_t i = 0; i < loop->window && conflicts(loop, draw); i++)
        draw->number = workload_next(&loop->workload, draw->number);
    return !conflicts(loop, draw);
}

/* With `adopt` accept any version found and remember it; otherwise only the version that was
 * stored. A miss is never right. */
enum verdict kv_verify(struct loop *loop, uint32_t number, uint32_t found, enum verdict verdict)
{
    if (loop->state.kv.adopt && found != 0) {
        struct key_versions *versions = &loop->state.kv.keys.versions[number];

        versions->sent = versions->acked = found;
        return VERDICT_RIGHT;
    }
    return verdict == VERDICT_RIGHT && found == 0 ? VERDICT_UNEXPECTED_MISS : verdict;
}

static bool kv_init(struct loop *loop, const struct load_config *config)
{
    if (!classes_init(&loop->classes, config->lengths, config->nb_classes))
        return false;
    loop->state.kv.no_overlap = config->no_overlap;
    loop->state.kv.adopt = config->adopt;
    loop->request_bytes = loop->classes.request_bytes;
    loop->reply_bytes = loop->classes.hit_bytes;
    loop->turn = config->nb_classes == 1 ? kv_turn : kv_turn_classes;
    return true;
}

static bool kv_open(struct loop *loop)
{
    return keys_open(&loop->state.kv.keys, loop->workload.nb_all);
}

static void kv_close(struct loop *loop)
{
    keys_close(&loop->state.kv.keys);
}

static void kv_forget(struct loop *loop)
{
    keys_reset(&loop->state.kv.keys);
}

static uint32_t kv_first_write(const struct loop *loop, uint8_t *room)
{
    return format_request(keyed_first(loop), room, 0, OP_GET, 0, 0);
}

/* Right are END, and a value of the generator in any version. */
static bool kv_first_check(const struct loop *loop, const uint8_t *reply, uint32_t len)
{
    const struct format *format = keyed_first(loop);
    struct expected expected = {.op = OP_GET, .digits = format_digits(format, 0)};
    uint32_t found;

    return check_kv(format, &expected, reply, len, &found) == VERDICT_RIGHT || found != 0;
}

const struct load_type load_kv = {.name = "kv",
                                  .stores = true,
                                  .init = kv_init,
                                  .open = kv_open,
                                  .close = kv_close,
                                  .forget = kv_forget,
                                  .first_write = kv_first_write,
                                  .first_check = kv_first_check};
