/* SPDX-License-Identifier: BSD-3-Clause */
#include "lines.h"

#include <inttypes.h>
#include <stdio.h>

#define PACED_TOGETHER 16u /* a divisor of RECORD_HALF: values exact to 1.6 % */
_Static_assert(RECORD_PLACES % PACED_TOGETHER == 0, "the last group of places must be full");

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

void line_ready(uint32_t nb_flows, uint32_t window, const struct port_stats *stats)
{
    line_begin("ready");
    field("flows", nb_flows);
    field("window", window);
    if (stats->words != NULL)
        fputs(stats->words, stdout);
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

void line_before(uint32_t nb_records, uint64_t duration_ns, uint64_t nb_lost)
{
    line_begin("before");
    field("records", nb_records);
    field("duration_ns", duration_ns);
    field("lost", nb_lost);
    line_end();
}

void line_first_answer(uint64_t monotonic_ns)
{
    line_begin("first_answer");
    field("monotonic_ns", monotonic_ns);
    line_end();
}

/* Write a character and the digits of a number; returns their end. */
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
 * Print pairs of value and count, `together` neighbouring places in each. There may be thousands of
 * pairs, and the thread that prints them also sends requests, so they are buffered.
 */
static void latency_print(const struct record *latency, uint32_t together)
{
    char text[4096], *end = text;

    fputs(",\"latency\":[", stdout);
    for (uint32_t place = latency->low - latency->low % together; place < latency->high;
         place += together) {
        uint64_t count = 0;

        for (uint32_t i = place; i < place + together; i++)
            count += latency->counts[i];
        if (count == 0)
            continue;
        if (end - text > (int)sizeof(text) - 64) {
            fwrite(text, 1, (size_t)(end - text), stdout);
            end = text;
        }
        end = number_write(end, '[', record_value_ns(place + together / 2));
        end = number_write(end, ',', count);
        *end++ = ']';
        *end++ = ',';
    }
    if (end > text)
        fwrite(text, 1, (size_t)(end - text - 1), stdout); /* without the last comma */
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
    if (stats->has_segments)
        printf(",\"segments\":{\"joined\":%" PRIu64 ",\"refused\":%" PRIu64 "}", stats->nb_joined,
               stats->nb_refused);
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
    /* An open loop is late while this prints, because nothing is sent; so its seconds are
     * coarser. */
    latency_print(&measured->latency, measured->paced && stats == NULL ? PACED_TOGETHER : 1);
    field("over_1s", measured->latency.nb_over);
    printf(",\"cycles\":{\"receive\":%" PRIu64 ",\"empty\":%" PRIu64 ",\"check\":%" PRIu64
           ",\"send\":%" PRIu64 "}",
           cycles->receive, cycles->empty, cycles->check, cycles->send);
    field("tsc_hz", measured->tsc_hz);
    if (measured->first_wrong[0] != '\0')
        printf(",\"first_wrong\":\"%s\"", measured->first_wrong);
    if (stats != NULL)
        stats_print(stats);
    line_end();
}
