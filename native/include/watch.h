/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * watch: a function of a user's service that does not come back ends the program, with one line.
 *
 * The service marks which function it is in and for which request: two stores. The mark is checked
 * from outside of the loop, in a way that is chosen at link time: by a timer of the process
 * (program/watch.c), by the tender (uk/lib/watch/process.c), or by a timer interrupt
 * (uk/lib/watch/pc.c). program/stuck.h has the rule. A service that marks nothing links none of
 * this.
 *
 * Call order: the service calls open once, when it is opened, and writes the mark from then on. It
 * clears `inside` before it returns to the loop.
 */
#ifndef NEARMETAL_WATCH_H
#define NEARMETAL_WATCH_H

#include <stdatomic.h>
#include <stdint.h>

/* Stored and loaded relaxed: once a function is stuck, neither word changes. */
struct watch_mark {
    _Atomic uint64_t inside; /* 0: in no function; otherwise the words below */
    _Atomic uint64_t head;   /* the request's first eight bytes, as they are in memory */
};

/* `inside`: a number that is another one at each call, which function, bytes of the request. */
#define WATCH_TURN (1ull << 16)
#define WATCH_PREPARE (1ull << 15) /* prepare, else answer */
#define WATCH_BYTES_MASK (WATCH_PREPARE - 1)

/* Return where to mark. */
struct watch_mark *watch_open(void);

static inline void watch_enter(struct watch_mark *mark, uint64_t inside, const uint8_t request[8])
{
    uint64_t head;

    __builtin_memcpy(&head, request, sizeof(head));
    atomic_store_explicit(&mark->head, head, memory_order_relaxed);
    atomic_store_explicit(&mark->inside, inside, memory_order_relaxed);
}

static inline void watch_leave(struct watch_mark *mark)
{
    atomic_store_explicit(&mark->inside, 0, memory_order_relaxed);
}

#endif
