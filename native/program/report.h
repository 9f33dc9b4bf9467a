/* SPDX-License-Identifier: BSD-3-Clause */
/* The lines of JSON that a DUT prints (docs/programs.md). report.c composes them without an
 * operating system; print.c prints them on stdout, an image on its console. */
#ifndef NEARMETAL_REPORT_H
#define NEARMETAL_REPORT_H

#include <stddef.h>

#include "serve.h"

/* All counters of a DUT. The data process of a ukp rung passes them to its tender in this form. */
struct report {
    struct serve_counters serve;
    struct datapath_stats datapath;
    struct service_counters service;
};

/* The machine of an image that runs in a virtual machine of its own. */
struct ready_machine {
    const char *transport, *clock;
    uint64_t tsc_hz;
    uint64_t store_address; /* of the store, in the machine's memory; 0: not reported */
};

struct ready {
    const char *datapath, *service;
    const struct source *listen;
    int pid;        /* of the process that serves */
    int tender_pid; /* of the process that started it; 0: there is no tender */
    uint64_t store_budget_bytes;
    const struct ready_machine *machine; /* NULL: not an image in a virtual machine */
};

/* Bytes of the longest line: some sixty counts of up to twenty digits, with their names. */
#define REPORT_LINE_BYTES 3072u

/* Compose a line, newline included; both return its length. event: "counters" or "final". */
size_t ready_line(char line[REPORT_LINE_BYTES], const struct ready *ready);
size_t report_line(char line[REPORT_LINE_BYTES], const char *event, const struct report *report,
                   const struct service_words *words);

void print_ready(const struct ready *ready);
void print_report(const char *event, const struct report *report,
                  const struct service_words *words);

#endif
