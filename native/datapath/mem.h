/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The datapath `mem`: requests from memory, replies that are checked and not sent.
 *
 * The floor of the ladder: the cost of the loop and the service with almost no input and output.
 * Requests are rendered beforehand into a region too large for the caches and are read once, as a
 * stream. Replies are written to a few rooms that are used again, as those of a socket datapath
 * are. Every reply's length and last bytes are added to a sum, so that no work can be optimised
 * away. In one burst of CHECK_EVERY, every byte is compared.
 */
#ifndef NEARMETAL_MEM_H
#define NEARMETAL_MEM_H

#include <stdatomic.h>

#include "datapath.h"
#include "format.h"

struct mem_stream {
    uint8_t *bytes; /* requests, each behind its length (16 bits, byte order of this machine) */
    uint64_t size_bytes;
    uint64_t nb_requests;
    const struct format *format;
    bool is_echo;
};

struct mem_result {
    uint64_t nb_replies, nb_hits, nb_stored, nb_checked, nb_wrong;
    uint64_t sum; /* over all replies */
};

/* Draw and render requests until the region is full or nb_requests are rendered. */
struct workload;
void mem_render(struct mem_stream *stream, uint64_t nb_requests, struct workload *workload);

/* Render SETs of the keys [first, first + nb_requests), version 1. */
void mem_render_preload(struct mem_stream *stream, uint32_t first, uint32_t nb_requests);

/* Open a datapath on a stream; *stop is set when the stream ends. */
struct datapath *mem_open(const struct mem_stream *stream, unsigned batch, atomic_int *stop);
void mem_result(const struct datapath *datapath, struct mem_result *result);

#endif
