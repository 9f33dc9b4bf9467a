/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log: the memory of the items, a ring of bytes.
 *
 * Items are appended at the head and leave at the tail, in order of age: there is no search for
 * free space and no fragmentation. An item never crosses the end of the ring: the bytes left there
 * are filled with a dead item. The log handles sizes and dead bytes, not keys: store.c decides
 * which items are evicted and which are appended again.
 */
#ifndef NEARMETAL_LOG_H
#define NEARMETAL_LOG_H

#include "item.h"

struct log {
    uint8_t *base;       /* 64-byte aligned, so that 64-byte items are cache lines */
    uint64_t size_bytes; /* a multiple of 64 */
    uint64_t head, tail; /* offsets of the next item and of the oldest, both < size_bytes */
    uint64_t used_bytes; /* from tail to head */
    uint64_t dead_bytes; /* of used_bytes: dead items and fillers */
};

void log_open(struct log *log, uint8_t *base, uint64_t size_bytes);

/* Take bytes for one item at the head; NULL when the free part there is too short. */
struct item *log_append(struct log *log, uint32_t item_bytes);

/* Return the oldest item, dead or alive; NULL when the log is empty. */
struct item *log_oldest(const struct log *log);

/* Free the oldest item's bytes; the next item becomes the oldest. */
void log_drop_oldest(struct log *log);

/* Move the oldest item to the head; returns its new place. Cannot fail: it frees what it takes. */
struct item *log_renew_oldest(struct log *log);

/* Mark the item dead; its bytes are free once the tail has passed them. */
void log_kill(struct log *log, struct item *item);

#endif
