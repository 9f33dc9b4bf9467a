/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a DUT says of itself, as lines of JSON (docs/programs.md): made by report.c, which knows no
 * operating system, and printed on stdout by print.c, or on its console by an image.
 */
#ifndef NEARMETAL_REPORT_H
#define NEARMETAL_REPORT_H

#include <stddef.h>

#include "serve.h"

/* All counters of a DUT. The data process of a ukp rung hands them to its tender in this form. */
struct report {
    struct serve_counters serve;
    struct datapath_stats datapath;
    struct service_counters service;
};

/* Of a virtual machine that an image has to itself. */
struct ready_machine {
    const char *transport, *clock;
    uint64_t tsc_hz;
    uint64_t store_address; /* so that the store's memory can be told apart from outside; 0: none */
};

struct ready {
    const char *datapath, *service;
    const struct source *listen;
    int pid;        /* of the process that serves */
    int tender_pid; /* of the one that started it; 0: it started itself */
    uint64_t store_budget_bytes;
    const struct ready_machine *machine; /* NULL: it has none to itself */
};

/* The longest: some sixty counts of up to twenty digits, with their names. */
#define REPORT_LINE_BYTES 3072u

/* Both write a line with its end to `line`, and return its length. event: "counters" or "final". */
size_t ready_line(char line[REPORT_LINE_BYTES], const struct ready *ready);
size_t report_line(char line[REPORT_LINE_BYTES], const char *event, const struct report *report,
                   const struct service_words *words);

void print_ready(const struct ready *ready);
void print_report(const char *event, const struct report *report,
                  const struct service_words *words);

#endif
