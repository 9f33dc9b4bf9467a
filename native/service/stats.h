/* SPDX-License-Identifier: BSD-3-Clause */
/* The output of the command `stats`: memcached 1.6.18's names in its order. */
#ifndef NEARMETAL_STATS_H
#define NEARMETAL_STATS_H

#include "reply.h"
#include "store.h"

#define KV_VERSION "nearmetal-0.1.0"

/* Counters of the protocol; those of the store are in struct store. */
struct stats {
    uint64_t nb_get, nb_get_hits, nb_get_misses;
    uint64_t nb_set, nb_flush, nb_touch, nb_touch_hits, nb_touch_misses;
    uint64_t nb_delete_hits, nb_delete_misses;
    uint64_t nb_incr_hits, nb_incr_misses, nb_decr_hits, nb_decr_misses;
    uint64_t nb_cas_hits, nb_cas_misses, nb_cas_badval;
    uint64_t nb_too_large;
    uint64_t read_bytes, written_bytes;
    uint64_t memory_bytes;
    uint32_t pid;
};

/* Put the STAT lines and END. */
void stats_put(const struct stats *stats, const struct store *store, struct message *message);

#endif
