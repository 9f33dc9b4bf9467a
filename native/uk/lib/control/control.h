/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control page: one page of shared memory by which a tender and its data process communicate.
 * Besides this page they share the rings and buffers, and the descriptors below.
 *
 *   lines    written by      read by    when
 *   link     tender (*)      data       each turn: it stays in the data process's cache
 *   clock    tender          data       once a second / each turn
 *   setup    tender          data       before the data process starts, never after
 *   said     data            tender     after each state change or report of the data process
 *   watch    data            tender     each request of a user's service / ten times a second
 *
 * (*) The tender sets `ask` to 1; the data process sets it to 0 when it has reported.
 *
 * Neither side takes a lock. Each word that announces other data is stored with release and loaded
 * with acquire: `generation` covers `features` and the emptied rings; `seen` covers the data
 * process's last access to the rings of the previous generation; `state` and `nb_reports` cover
 * `error`, the names and `report`. The clock is a sequence lock: its sequence is odd while the
 * tender writes it.
 *
 * The tender does not trust the data process. It only compares and prints what it reads here: names
 * only if each consists of small letters, digits and _ and is terminated; names of files with a `?`
 * in place of each byte that cannot be printed; other texts up to their end. The data process
 * trusts its tender, but checks the sizes before it maps memory by them.
 */
#ifndef NEARMETAL_UK_CONTROL_H
#define NEARMETAL_UK_CONTROL_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "report.h"
#include "watch.h"

#define CONTROL_BYTES 4096u
#define CONTROL_VERSION 3u
#define CONTROL_ERROR_BYTES 256u
#define CONTROL_NAME_BYTES 16u

/* Descriptors of the data process. It closes those of page and memory once they are mapped. */
enum {
    CONTROL_FD_PAGE = 3,   /* this page, a memfd */
    CONTROL_FD_MEMORY = 4, /* rings and buffers, a sealed memfd (vhost_layout.h) */
    CONTROL_FD_KICK = 5,   /* and 6: eventfds, one a ring */
    CONTROL_FD_CALL = 7,   /* eventfd on which the data process may sleep */
    CONTROL_FD_END = 8,
};

enum control_state {
    CONTROL_STARTING,
    CONTROL_READY,  /* it serves, or will as soon as the link is up */
    CONTROL_FAILED, /* `error` says why; the process is about to end */
    CONTROL_DONE,   /* stopped; `report` is the last */
};

/* now_ns = base_ns + ((tsc - base_tsc) * mult >> CONTROL_CLOCK_SHIFT) */
#define CONTROL_CLOCK_SHIFT 32u

struct control_link {
    _Atomic uint32_t generation; /* odd: the link is up, with rings emptied for it */
    atomic_int stop;             /* end after this turn */
    atomic_int ask;              /* report (*) */
    _Atomic uint64_t features;   /* negotiated; valid while the link is up */
};

struct control_clock {
    _Atomic uint32_t sequence;
    _Atomic uint64_t base_tsc, base_ns; /* ns: of Unix time */
    _Atomic uint64_t mult;              /* nanoseconds in a cycle, times 2^CONTROL_CLOCK_SHIFT */
};

struct control_setup {
    uint32_t version;
    uint32_t pid;
    uint32_t ring_size;
    uint64_t memory_bytes; /* of the memfd */
    uint64_t tsc_hz;       /* the estimate at the start */
    uint8_t mac[6];
    bool called; /* there is a CONTROL_FD_CALL */
    struct options options;
};

struct control_said {
    _Atomic uint32_t state; /* enum control_state */
    _Atomic uint32_t seen;  /* the last generation that the data process has seen */
    _Atomic uint32_t nb_reports;
    char datapath[CONTROL_NAME_BYTES];
    struct service_words words;
    char error[CONTROL_ERROR_BYTES];
    struct report report;
};

struct control_watch {
    struct watch_mark mark;
    _Atomic uint32_t is_watched; /* the mark is in use */
};

struct control {
    alignas(128) struct control_link link;
    alignas(128) struct control_clock clock;
    alignas(128) struct control_setup setup;
    alignas(128) struct control_said said;
    alignas(128) struct control_watch watch;
};

_Static_assert(sizeof(struct control) <= CONTROL_BYTES, "one page");
_Static_assert(offsetof(struct control, clock) == 128, "lines of its own");
_Static_assert(offsetof(struct control, said) % 128 == 0, "lines of its own");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LONG_LOCK_FREE == 2,
               "two processes cannot share a C library's locks");

#endif
