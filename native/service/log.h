/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log: the memory of the items, a ring of bytes.
 *
 * Items are appended at the head and leave at the tail, in the order in which they came; nothing
 * is ever searched and nothing fragments. An item never lies across the end of the ring: what is
 * left there is filled with a dead item. The log knows sizes and which bytes are dead, not keys:
 * who leaves and who is appended again is the store's affair (store.c).
 */
#ifndef NEARMETAL_LOG_H
#define NEARMETAL_LOG_H

#include "item.h"

struct log {
    uint8_t *base;       /* 64-byte aligned, so that 64-byte items are cache lines */
    uint64_t size_bytes; /* a multiple of 64 */
    uint64_t head, tail; /* offsets of the next item and of the oldest, both < size_bytes */
    uint64_t used_bytes; /* from tail to head */
    uint64_t dead_bytes; /* of those: dead items and fillings */
};

void log_open(struct log *log, uint8_t *base, uint64_t size_bytes);

/* Bytes for one item at the head; NULL when the free part there is too short. */
struct item *log_append(struct log *log, uint32_t item_bytes);

/* The oldest item, dead or alive; NULL when the log is empty. */
struct item *log_oldest(const struct log *log);

/* The oldest item's bytes are free again; the next item is the oldest. */
void log_drop_oldest(struct log *log);

/* The oldest item becomes the newest; returns its new place. Cannot fail: it frees what it takes.
 */
struct item *log_renew_oldest(struct log *log);

/* The item's bytes are dead until the tail passes them. */
void log_kill(struct log *log, struct item *item);

#endif
