/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The datapath `mem`: requests that lie in memory already, replies that go nowhere but are checked.
 *
 * The floor of the ladder: what the loop and the service cost when input and output cost next to
 * nothing. Requests are rendered beforehand into a region too large for the caches and are read
 * from it as a stream, once; replies land in a few rooms that are used again, as a socket
 * datapath's are. Every reply's length and last bytes are folded into a sum, so that no work can be
 * left out; of one burst in CHECK_EVERY each byte is compared.
 */
#ifndef NEARMETAL_MEM_H
#define NEARMETAL_MEM_H

#include <stdatomic.h>

#include "datapath.h"
#include "format.h"

struct mem_stream {
    uint8_t *bytes; /* requests, each behind its length (16 bits, this machine's order) */
    uint64_t size_bytes;
    uint64_t nb_requests;
    const struct format *format;
    bool is_echo;
};

struct mem_result {
    uint64_t nb_replies, nb_hits, nb_stored, nb_checked, nb_wrong;
    uint64_t sum; /* of what was folded */
};

/* Draws requests until the region is full or nb_requests are rendered. */
struct workload;
void mem_render(struct mem_stream *stream, uint64_t nb_requests, struct workload *workload);

/* Renders SETs of the keys [first, first + nb_requests), version 1. */
void mem_render_preload(struct mem_stream *stream, uint32_t first, uint32_t nb_requests);

/* A stream as a datapath: *stop is set when it has been read. */
struct datapath *mem_open(const struct mem_stream *stream, unsigned batch, atomic_int *stop);
void mem_result(const struct datapath *datapath, struct mem_result *result);

#endif
