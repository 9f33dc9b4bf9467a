/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The interface between the loop and a load: what the requests are, and which replies are right.
 *
 * A load consists of two parts. The first is a struct load_type: set-up, and what is called seldom.
 * The second is what every request needs, static inline functions in load_<name>.h. loop_<name>.c
 * includes them and then turn.h, which has the turn: so each load has a turn of its own, compiled
 * with its functions inlined, and a load costs nothing in the turn of another one. The loop calls
 * the turn by one pointer a turn.
 *
 * turn.h wants of load_<name>.h:
 *
 *   LOAD_PREFETCHES   1: load_expect is worth a pass of its own over a burst of replies; 0: not
 *   struct load_fixed, load_fixed(loop)
 *                     copies of what does not change while a burst is written (see turn.h)
 *   load_draws(loop, begin, nb)
 *                     prepare the draws [begin, begin + nb) of the ring: what can be done before
 *                     their requests are due, such as prefetching
 *   load_settle(loop, fixed, at)
 *                     decide late about the draw at `at`, just before it is sent: it may choose
 *                     another key. False: this request cannot be sent in this turn
 *   load_write(loop, fixed, slot, at, id, room)
 *                     write the request of the draw at `at` into its room, note in number, version
 *                     and digits of the slot what its reply is judged by; returns its length. A SET
 *                     is counted in loop->nb_sets
 *   load_id(loop, reply, &id)
 *                     the id that a reply carries. False: it is too short to have one
 *   load_expect(loop, slot)
 *                     prefetch what load_check needs
 *   load_check(loop, slot, reply, id)
 *                     judge every byte of the reply to this slot's request
 *   load_over(loop, slot, right)
 *                     the request was answered (right or not), or is lost
 */
#ifndef NEARMETAL_TG_LOAD_TYPE_H
#define NEARMETAL_TG_LOAD_TYPE_H

#include <stdbool.h>
#include <stdint.h>

#include "classes.h"
#include "keys.h"

struct datagram;
struct loop;
struct replay_file;
struct slot;

struct load_config {
    struct class_lengths lengths[CLASSES_MAX];
    uint32_t nb_classes;
    bool no_overlap; /* kv: send no GET while a SET of its key is in flight */
    bool adopt;      /* kv, verify: accept any version found as the acknowledged one */
    bool stamped;    /* echo: the key ends with a stamp */
    uint64_t stamp;  /* echo: before the first stamp */
    const struct replay_file *records; /* replay: what is asked; stays open */
    bool asks_before;                  /* replay: this loop asks the records of `before` */
};

struct load_type {
    const char *name; /* --service */
    bool stores;      /* keys are stored and read back before the mix */
    bool stamps;      /* can send stamps */
    bool recorded;    /* requests are the records of a file, which all loops share */
    /* Set up loop->classes, request_bytes, reply_bytes and turn; nothing that needs much memory.
     * False: a length is out of range. */
    bool (*init)(struct loop *loop, const struct load_config *config);
    /* The rest of the set-up; loop->workload is initialised. False: out of memory. */
    bool (*open)(struct loop *loop);
    void (*close)(struct loop *loop);
    /* The target has lost what was stored. */
    void (*forget)(struct loop *loop);
    /* A request that any target of this service answers, id 0: write it; whether the reply is
     * right, also if an earlier run stored its keys there. Needs `init` only. */
    uint32_t (*first_write)(const struct loop *loop, uint8_t *room);
    bool (*first_check)(const struct loop *loop, const uint8_t *reply, uint32_t len);
    /* Write in printable words what is wrong with this reply, at most LOOP_SAID_BYTES (loop.h).
     * NULL: the reply is text, and is quoted. */
    void (*say)(const struct loop *loop, const struct slot *slot, const struct datagram *reply,
                char *said);
};

extern const struct load_type load_kv, load_echo, load_replay;

/* NULL: there is no load of this name. */
const struct load_type *load_type_find(const char *name);

/* The state that a load keeps in the loop. */
union load_state {
    struct {
        struct keys keys;
        bool no_overlap, adopt;
    } kv;
    struct {
        uint32_t version; /* of the last SET; no two SETs are alike */
        bool stamped;
        uint64_t stamp; /* the last stamp */
    } echo;
    struct {
        const struct replay_file *file;
        const uint8_t *bytes; /* of the file */
        uint16_t id_at, id_reply_at;
        bool asks_before;
    } replay;
};

#endif
