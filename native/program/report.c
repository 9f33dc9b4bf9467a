/* SPDX-License-Identifier: BSD-3-Clause */
/* Compose the lines of a DUT: see report.h. Freestanding. */
#include "report.h"

#include "options.h"
#include "text.h"

static void put_name(struct text *text, const char *key, const char *name)
{
    text_put(text, ",\"");
    text_put(text, key);
    text_put(text, "\":\"");
    text_put(text, name);
    text_put(text, "\"");
}

static void put_event(struct text *text, const char *event)
{
    text_put(text, "{\"event\":\"");
    text_put(text, event);
    text_put(text, "\"");
}

static void put_machine(struct text *text, const struct ready_machine *machine)
{
    put_name(text, "transport", machine->transport);
    put_name(text, "clock", machine->clock);
    text_count(text, "tsc_hz", machine->tsc_hz);
    if (machine->store_address != 0)
        text_count(text, "store_address", machine->store_address);
}

size_t ready_line(char line[REPORT_LINE_BYTES], const struct ready *ready)
{
    struct text text = text_in(line, REPORT_LINE_BYTES);
    char listen[SOURCE_TEXT_BYTES];

    source_format(ready->listen, listen);
    put_event(&text, "ready");
    put_name(&text, "datapath", ready->datapath);
    put_name(&text, "service", ready->service);
    put_name(&text, "listen", listen);
    text_count(&text, "pid", (uint64_t)ready->pid);
    if (ready->tender_pid != 0)
        text_count(&text, "tender_pid", (uint64_t)ready->tender_pid);
    text_count(&text, "store_budget_bytes", ready->store_budget_bytes);
    if (ready->machine != NULL)
        put_machine(&text, ready->machine);
    text_put(&text, "}\n");
    return (size_t)(text.at - line);
}

static void put_drops(struct text *text, const uint64_t by_reason[NB_DROP_REASONS],
                      const struct service_words *words)
{
    static const char *const names[DROP_SERVICE] = {
#define X(constant, name) [constant] = name,
        DROP_REASONS(X)
#undef X
    };

    text_put(text, ",\"drops\":{");
    for (unsigned i = 0; i < DROP_SERVICE; i++)
        text_count(text, names[i], by_reason[i]);
    for (unsigned i = 0; i < SERVICE_DROPS_MAX && words->drops[i][0] != '\0'; i++)
        text_count(text, words->drops[i], by_reason[DROP_SERVICE + i]);
    text_put(text, "}");
}

/* Put the first fault of each class. Programs without faults print what they always printed. */
static void put_faults(struct text *text, const struct service_fault *faults,
                       const struct service_words *words)
{
    const char *before = ",\"faults\":[";
    for (unsigned i = 0; i < SERVICE_FAULTS_MAX; i++) {
        if (faults[i].line == 0 || faults[i].drop >= SERVICE_DROPS_MAX)
            continue;
        text_put(text, before);
        text_put(text, "{\"word\":\"");
        text_put(text, words->drops[faults[i].drop]);
        text_put(text, "\"");
        put_name(text, "file", faults[i].file);
        text_count(text, "line", faults[i].line);
        text_put(text, "}");
        before = ",";
    }
    if (before[1] == '\0')
        text_put(text, "]");
}

size_t report_line(char line[REPORT_LINE_BYTES], const char *event, const struct report *report,
                   const struct service_words *words)
{
    const struct datapath_stats *stats = &report->datapath;
    struct text text = text_in(line, REPORT_LINE_BYTES);

    put_event(&text, event);
    text_count(&text, "received", report->serve.nb_received);
    text_count(&text, "replies", report->serve.nb_replies);
    put_drops(&text, report->serve.nb_by_reason, words);
    text_count(&text, "syscalls", stats->nb_syscalls);
    text_count(&text, "rx_errors", stats->nb_rx_errors);
    text_count(&text, "tx_errors", stats->nb_tx_errors);
    text_count(&text, "tx_unjoined", stats->nb_tx_unjoined);
    text_count(&text, "empty_rx", stats->nb_empty_rx);
    text_count(&text, "busy_cycles", stats->busy_cycles);
    text_count(&text, "empty_cycles", stats->empty_cycles);
    for (unsigned i = 0; i < SERVICE_COUNTERS_MAX && words->counters[i][0] != '\0'; i++)
        text_count(&text, words->counters[i], report->service.values[i]);
    put_faults(&text, report->service.faults, words);
    text_put(&text, "}\n");
    return (size_t)(text.at - line);
}
