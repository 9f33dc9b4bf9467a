/* SPDX-License-Identifier: BSD-3-Clause */
/* The command line of the generator. */
#ifndef NEARMETAL_TG_LOAD_OPTIONS_H
#define NEARMETAL_TG_LOAD_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "load_type.h"
#include "port.h"
#include "replay_file.h"
#include "workload.h"

#define LCORES_MAX 64u
#define SHARES_MAX 64u

struct load_options {
    const char *target;
    const struct load_type *type; /* --service */
    struct load_config load;
    const char *records_path;   /* --records; NULL: not given */
    struct replay_file records; /* of records_path; load.records points to it */
    bool keyed;                 /* an option was given that describes keys and their requests */
    struct workload_config workload;
    uint32_t nb_flows, window;
    uint32_t source_port;        /* of the first flow; 0: not given */
    uint64_t warmup_ns, time_ns; /* time 0: until a signal */
    uint64_t timeout_ns;
    bool preload, stay, first_answer, await;
    double rate; /* requests a second; 0: closed loop */
    bool poisson;
    uint32_t nb_lcores; /* 0: one thread, on any core */
    unsigned lcores[LCORES_MAX];
    bool segment;              /* sockets: --segment */
    unsigned share, nb_shares; /* this generator (from 0) of so many; nb_shares 0: the only one */
    struct port_frames_config frames; /* for the frame editions */
};

/* 0: go on; 1: --help was printed; 2: bad input, reported in one line on stderr. After 0 the
 * options stay where they are: they point to one another. */
int load_options_parse(struct load_options *options, int argc, char **argv);

/* The name of this edition, which begins every error line. */
const char *load_name(void);

#endif
