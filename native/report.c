/* SPDX-License-Identifier: BSD-3-Clause */
/* The lines that a DUT prints: see report.h. */
#include "report.h"

#include <inttypes.h>
#include <stdio.h>

#include "options.h"

void print_ready(const struct ready *ready)
{
    char listen[64];

    source_format(ready->listen, listen);
    printf("{\"event\":\"ready\",\"datapath\":\"%s\",\"service\":\"%s\",\"listen\":\"%s\","
           "\"pid\":%d,",
           ready->datapath, ready->service, listen, ready->pid);
    if (ready->tender_pid != 0)
        printf("\"tender_pid\":%d,", ready->tender_pid);
    printf("\"store_budget_bytes\":%" PRIu64 "}\n", ready->store_budget_bytes);
    fflush(stdout);
}

static void print_drops(const uint64_t by_reason[NB_DROP_REASONS])
{
    static const char *const names[NB_DROP_REASONS] = {
#define X(constant, name) [constant] = name,
        DROP_REASONS(X)
#undef X
    };

    for (unsigned i = 0; i < NB_DROP_REASONS; i++)
        printf("%s\"%s\":%" PRIu64, i ? "," : "", names[i], by_reason[i]);
}

void print_report(const char *event, const struct report *report)
{
    const struct datapath_stats *stats = &report->datapath;
    const struct service_counters *kv = &report->service;

    printf("{\"event\":\"%s\",\"received\":%" PRIu64 ",\"replies\":%" PRIu64 ",\"drops\":{", event,
           report->serve.nb_received, report->serve.nb_replies);
    print_drops(report->serve.nb_by_reason);
    printf("},\"syscalls\":%" PRIu64 ",\"rx_errors\":%" PRIu64 ",\"tx_errors\":%" PRIu64
           ",\"empty_rx\":%" PRIu64,
           stats->nb_syscalls, stats->nb_rx_errors, stats->nb_tx_errors, stats->nb_empty_rx);
    printf(",\"busy_cycles\":%" PRIu64 ",\"empty_cycles\":%" PRIu64, stats->busy_cycles,
           stats->empty_cycles);
    printf(",\"items\":%" PRIu64 ",\"live_bytes\":%" PRIu64 ",\"evicted\":%" PRIu64
           ",\"expired\":%" PRIu64 ",\"get\":%" PRIu64 ",\"get_hits\":%" PRIu64 ",\"set\":%" PRIu64
           "}\n",
           kv->nb_items, kv->live_bytes, kv->nb_evicted, kv->nb_expired, kv->nb_get,
           kv->nb_get_hits, kv->nb_set);
    fflush(stdout);
}
