/* SPDX-License-Identifier: BSD-3-Clause */
/* What a DUT says of itself, as lines of JSON on stdout (docs/programs.md). */
#ifndef NEARMETAL_REPORT_H
#define NEARMETAL_REPORT_H

#include "serve.h"

/* All counters of a DUT. The data process of a ukp rung hands them to its tender in this form. */
struct report {
    struct serve_counters serve;
    struct datapath_stats datapath;
    struct service_counters service;
};

struct ready {
    const char *datapath, *service;
    const struct source *listen;
    int pid;        /* of the process that serves */
    int tender_pid; /* of the one that started it; 0: it started itself */
    uint64_t store_budget_bytes;
};

void print_ready(const struct ready *ready);

/* event: "counters" or "final". */
void print_report(const char *event, const struct report *report);

#endif
