/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of a DUT (docs/programs.md), checked whole before anything starts. */
#ifndef NEARMETAL_OPTIONS_H
#define NEARMETAL_OPTIONS_H

#include <stddef.h>

#include "admission.h"
#include "datapath.h"

#define OPTIONS_NETWORKS_MAX 16u

struct networks {
    struct cidr networks[OPTIONS_NETWORKS_MAX];
    unsigned nb_networks;
};

struct options {
    struct datapath_config datapath;
    uint64_t memory_bytes;
    bool hugepages; /* take the service's memory from the kernel's pool of 2 MiB pages */
    struct networks allow, admin, trusted;
    uint8_t seed[16];
    unsigned every_s; /* seconds between `counters` lines; 0: none */
};

/* Returns NULL, or one sentence: what is wrong, where, what to do. */
const char *options_parse(struct options *options, int argc, char **argv);

/* Fill with unpredictable bytes. Returns false where there is no source of them. Defined in
 * random.c for Linux programs, in uk/lib/boot for images. */
bool random_bytes(void *to, size_t nb_bytes);

#define SOURCE_TEXT_BYTES 64u

/* Write "1.2.3.4:5" or "[::1]:5". */
void source_format(const struct source *source, char text[SOURCE_TEXT_BYTES]);

#endif
