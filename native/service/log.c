/* SPDX-License-Identifier: BSD-3-Clause */
/* The log: a ring of bytes that holds items; see log.h. */
#include "log.h"

void log_open(struct log *log, uint8_t *base, uint64_t size_bytes)
{
    *log = (struct log){.base = base, .size_bytes = size_bytes};
}

static struct item *item_at(const struct log *log, uint64_t offset)
{
    return (struct item *)(void *)(log->base + offset);
}

static void mark_dead(struct log *log, struct item *item, uint64_t nb_bytes)
{
    item->word = item_word(0, (uint32_t)(nb_bytes / ITEM_UNIT_BYTES), 0);
    log->dead_bytes += nb_bytes;
}

static struct item *take_head(struct log *log, uint32_t item_bytes)
{
    struct item *item = item_at(log, log->head);
    log->used_bytes += item_bytes;
    log->head += item_bytes;
    if (log->head == log->size_bytes)
        log->head = 0;
    return item;
}

struct item *log_append(struct log *log, uint32_t item_bytes)
{
    if (log->used_bytes == 0)
        log->head = log->tail = 0;
    else if (log->head == log->tail)
        return NULL; /* full */
    if (log->head < log->tail)
        return log->tail - log->head >= item_bytes ? take_head(log, item_bytes) : NULL;
    uint64_t to_end = log->size_bytes - log->head;
    if (to_end >= item_bytes)
        return take_head(log, item_bytes);
    if (log->tail < item_bytes)
        return NULL;
    mark_dead(log, item_at(log, log->head), to_end);
    log->used_bytes += to_end;
    log->head = 0;
    return take_head(log, item_bytes);
}

struct item *log_oldest(const struct log *log)
{
    return log->used_bytes == 0 ? NULL : item_at(log, log->tail);
}

void log_drop_oldest(struct log *log)
{
    struct item *item = item_at(log, log->tail);
    uint32_t nb_bytes = item_bytes(item);
    if (item_is_dead(item))
        log->dead_bytes -= nb_bytes;
    log->used_bytes -= nb_bytes;
    log->tail += nb_bytes;
    if (log->tail == log->size_bytes)
        log->tail = 0;
}

struct item *log_renew_oldest(struct log *log)
{
    struct item *from = item_at(log, log->tail);
    uint32_t nb_bytes = item_bytes(from);
    log_drop_oldest(log);
    /* The filler before the end of the ring is written at the head, before or behind the item,
     * never inside it. The new place may overlap the old one. */
    struct item *to = log_append(log, nb_bytes);
    memmove(to, from, nb_bytes);
    return to;
}

void log_kill(struct log *log, struct item *item)
{
    mark_dead(log, item, item_bytes(item));
}
