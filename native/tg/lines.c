/* SPDX-License-Identifier: BSD-3-Clause */
#include "lines.h"

#include <inttypes.h>
#include <stdio.h>

static void line_end(void)
{
    fputs("}\n", stdout);
    fflush(stdout);
}

static void line_begin(const char *event)
{
    printf("{\"event\":\"%s\"", event);
}

static void field(const char *name, uint64_t value)
{
    printf(",\"%s\":%" PRIu64, name, value);
}

void line_event(const char *event)
{
    line_begin(event);
    line_end();
}

void line_ready(uint32_t nb_flows, uint32_t window)
{
    line_begin("ready");
    field("flows", nb_flows);
    field("window", window);
    line_end();
}

void line_preloaded(uint32_t nb_keys, uint64_t duration_ns, uint64_t nb_lost)
{
    line_begin("preloaded");
    field("keys", nb_keys);
    field("duration_ns", duration_ns);
    field("lost", nb_lost);
    line_end();
}

void line_verified(uint32_t nb_keys, uint64_t duration_ns, uint64_t nb_wrong, uint64_t nb_lost,
                   uint64_t nb_missed)
{
    line_begin("verified");
    field("keys", nb_keys);
    field("duration_ns", duration_ns);
    field("wrong", nb_wrong);
    field("lost", nb_lost);
    field("unexpected_miss", nb_missed);
    line_end();
}

void line_first_answer(uint64_t monotonic_ns)
{
    line_begin("first_answer");
    field("monotonic_ns", monotonic_ns);
    line_end();
}

/* Digits of a number, behind a character; returns their end. */
static char *number_write(char *to, char before, uint64_t number)
{
    char digits[20];
    unsigned nb = 0;

    *to++ = before;
    do
        digits[nb++] = (char)('0' + number % 10);
    while ((number /= 10) > 0);
    while (nb > 0)
        *to++ = digits[--nb];
    return to;
}

/*
 * Some thousand pairs, once a second, by the thread that also sends: printf would take it a good
 * part of a millisecond, which an open loop shows.
 */
static void latency_print(const struct record *latency)
{
    char pair[64];
    const char *comma = "";

    fputs(",\"latency\":[", stdout);
    for (uint32_t place = latency->low; place < latency->high; place++) {
        char *end;

        if (latency->counts[place] == 0)
            continue;
        fputs_unlocked(comma, stdout);
        end = number_write(pair, '[', record_value_ns(place));
        end = number_write(end, ',', latency->counts[place]);
        *end++ = ']';
        fwrite_unlocked(pair, 1, (size_t)(end - pair), stdout);
        comma = ",";
    }
    putchar(']');
}

static void faults_print(const char *direction, const struct fault_counts *counts)
{
    const char *comma = "";

    printf("\"%s\":{", direction);
#define X(name)                                                                                    \
    printf("%s\"" #name "\":%" PRIu64, comma, counts->name);                                       \
    comma = ",";
    FAULT_COUNTS(X)
#undef X
    putchar('}');
}

static void stats_print(const struct port_stats *stats)
{
    if (stats->has_frames)
        printf(",\"frames\":{\"tx\":%" PRIu64 ",\"rx\":%" PRIu64 ",\"malformed\":%" PRIu64
               ",\"arp\":%" PRIu64 ",\"bad\":%" PRIu64 "}",
               stats->nb_tx, stats->nb_rx, stats->nb_malformed, stats->nb_arp, stats->nb_bad);
    if (!stats->has_faults)
        return;
    fputs(",\"faults\":{", stdout);
    faults_print("tx", &stats->faults.tx);
    putchar(',');
    faults_print("rx", &stats->faults.rx);
    putchar('}');
}

void line_measured(const char *event, const struct measured *measured,
                   const struct port_stats *stats)
{
    const struct cycles *cycles = &measured->cycles;

    line_begin(event);
    field("duration_ns", measured->duration_ns);
#define X(name) field(#name, measured->counts.name);
    COUNTS(X)
#undef X
    if (measured->paced) {
        field("intended", measured->nb_intended);
        field("not_sent", measured->nb_not_sent);
        field("slips", measured->nb_slips);
        field("slipped_ns", measured->slipped_ns);
    }
    latency_print(&measured->latency);
    printf(",\"cycles\":{\"receive\":%" PRIu64 ",\"empty\":%" PRIu64 ",\"check\":%" PRIu64
           ",\"send\":%" PRIu64 "}",
           cycles->receive, cycles->empty, cycles->check, cycles->send);
    field("tsc_hz", measured->tsc_hz);
    if (stats != NULL)
        stats_print(stats);
    line_end();
}
