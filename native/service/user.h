/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What user.c needs to know of a service that was compiled from Python.
 *
 * The constant `user` and the functions are in the service's object file and in the C file beside
 * it, both written by nearmetal.service.compile. The functions are those of compile/entries.py;
 * each returns 0, or the code of a fault.
 */
#ifndef NEARMETAL_USER_H
#define NEARMETAL_USER_H

#include "service.h"

/* The code of a fault, less the smallest: class, line, file (compile/plan.py has the same numbers).
 */
#define USER_FAULT_CLASS_BITS 3u
#define USER_FAULT_LINE_BITS 20u
#define USER_FAULT_MIN 2u

/* Non-zero bytes that the state begins with. */
struct user_extent {
    uint64_t at; /* in the state */
    uint64_t nb_bytes;
    uint64_t from; /* in user_bytes */
};

struct user_counter {
    uint64_t at;
    uint8_t nb_bytes; /* 1, 2, 4 or 8 */
    bool is_signed;
};

struct user_table {
    uint64_t at;
    int32_t (*reindex)(int64_t *result, void **unused, uint8_t *table);
};

struct user {
    uint64_t layout; /* hash of names, kinds, counts and offsets of the fields */
    uint64_t state_bytes;
    const char *too_small; /* what to do about a memory that cannot hold the state */
    uint32_t reply_bytes_max;
    uint32_t nb_drops; /* its own; those of faults follow them */
    uint32_t nb_faults;
    bool has_prepare;
    uint32_t nb_extents, nb_seeds, nb_tables, nb_counters, nb_files;
    const struct user_extent *extents;
    const uint64_t *seeds; /* where the 16 bytes of the start's seed are written */
    const struct user_table *tables;
    const struct user_counter *counters;
    const char *const *files; /* names of the files of faults, below SERVICE_FILE_BYTES */
};

extern const struct user user;

/* In the object. */
extern const uint64_t user_layout;
extern const uint8_t user_bytes[];
int32_t user_answer(int64_t *result, void **unused, const uint8_t *request, int64_t nb_bytes,
                    uint8_t *room, int64_t room_bytes, uint8_t *state, const struct source *source,
                    int64_t now_ns);
int32_t user_prepare(int64_t *result, void **unused, const uint8_t *request, int64_t nb_bytes,
                     const uint8_t *state);

#endif
