/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log, compared with a queue: under random appends, kills, drops and renewals of random sizes,
 * items keep their order and their bytes, no item crosses the end, and the byte counts add up.
 */
#include <string.h>

#include "../check.h"
#include "log.h"
#include "random.h"

enum { LOG_BYTES = 64 * 64, QUEUE_MAX = 1024, NB_STEPS = 400000 };

static _Alignas(64) uint8_t memory[LOG_BYTES];

/* The expected content of the log, oldest first, without fillings. */
struct expected {
    uint32_t value_bytes;
    uint32_t mark; /* every value byte */
    bool is_dead;
    struct item *at;
};
static struct expected queue[QUEUE_MAX];
static uint32_t queue_first, queue_nb;

static struct expected *queue_at(uint32_t i)
{
    return &queue[(queue_first + i) % QUEUE_MAX];
}

static void append(struct log *log, uint32_t value_bytes, uint32_t mark)
{
    struct item *item = log_append(log, item_size_bytes(1, value_bytes));
    CHECK(queue_nb < QUEUE_MAX);
    if (item == NULL)
        return;
    CHECK((uint8_t *)item >= memory &&
          (uint8_t *)item + item_size_bytes(1, value_bytes) <= memory + LOG_BYTES);
    item->word = item_word(1, value_bytes, mark);
    memset(item->bytes, (int)(mark & 0xff), 1 + value_bytes);
    *queue_at(queue_nb++) = (struct expected){value_bytes, mark, false, item};
}

static void check_item(const struct expected *expected)
{
    if (expected->is_dead) {
        CHECK(item_is_dead(expected->at));
        return;
    }
    CHECK(item_cas(expected->at) == expected->mark);
    for (uint32_t i = 0; i <= expected->value_bytes; i++)
        CHECK(expected->at->bytes[i] == (expected->mark & 0xff));
}

/* Drop dead items at the old end; return true if an item is left: it is the queue's oldest. */
static bool reach_oldest(struct log *log)
{
    while (log_oldest(log) != NULL && (queue_nb == 0 || log_oldest(log) != queue_at(0)->at)) {
        CHECK(item_is_dead(log_oldest(log)));
        log_drop_oldest(log);
    }
    CHECK((log_oldest(log) == NULL) == (queue_nb == 0));
    return queue_nb > 0;
}

static void step(struct log *log, struct random *random, uint32_t mark)
{
    uint64_t draw = random_next(random);
    uint32_t size = (uint32_t)(draw >> 32) % (draw & 64 ? 700 : 60);
    switch (draw % 8) {
    case 0:
    case 1:
        if (queue_nb > 0) {
            struct expected *victim = queue_at((uint32_t)(draw >> 8) % queue_nb);
            if (!victim->is_dead)
                log_kill(log, victim->at);
            victim->is_dead = true;
        }
        break;
    case 2:
        if (reach_oldest(log)) {
            log_drop_oldest(log);
            queue_first = (queue_first + 1) % QUEUE_MAX;
            queue_nb--;
        }
        break;
    case 3:
        if (reach_oldest(log) && !queue_at(0)->is_dead) {
            struct expected renewed = *queue_at(0);
            renewed.at = log_renew_oldest(log);
            queue_first = (queue_first + 1) % QUEUE_MAX;
            *queue_at(queue_nb - 1) = renewed;
        }
        break;
    default:
        append(log, size, mark);
    }
}

int main(void)
{
    struct log log;
    struct random random = {1};
    log_open(&log, memory, LOG_BYTES);
    CHECK(log_oldest(&log) == NULL);
    for (uint32_t i = 0; i < NB_STEPS; i++) {
        step(&log, &random, i);
        uint64_t live_bytes = 0;
        for (uint32_t k = 0; k < queue_nb; k++) {
            check_item(queue_at(k));
            if (!queue_at(k)->is_dead)
                live_bytes += item_size_bytes(1, queue_at(k)->value_bytes);
        }
        CHECK(log.used_bytes <= LOG_BYTES && log.used_bytes == live_bytes + log.dead_bytes);
    }
    return 0;
}
