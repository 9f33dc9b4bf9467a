/* SPDX-License-Identifier: BSD-3-Clause */
#include "measured.h"

#include <string.h>

void measured_reset(struct measured *measured)
{
    record_reset(&measured->latency);
    measured->duration_ns = 0;
    measured->counts = (struct counts){0};
    measured->cycles = (struct cycles){0};
    measured->nb_intended = measured->nb_not_sent = 0;
    measured->nb_slips = measured->slipped_ns = 0;
    measured->first_wrong[0] = '\0';
}

static void sum_up(struct measured *sum, const struct counts *counts, const struct cycles *cycles,
                   const struct record *latency)
{
#define X(name) sum->counts.name += counts->name;
    COUNTS(X)
#undef X
    sum->cycles.receive += cycles->receive;
    sum->cycles.empty += cycles->empty;
    sum->cycles.check += cycles->check;
    sum->cycles.send += cycles->send;
    record_merge(&sum->latency, latency);
}

static void greatest(uint64_t *most, uint64_t value)
{
    *most = value > *most ? value : *most;
}

static void first_wrong_take(struct measured *sum, const char said[LOOP_SAID_BYTES])
{
    if (sum->first_wrong[0] == '\0')
        memcpy(sum->first_wrong, said, LOOP_SAID_BYTES);
}

void measured_take(struct measured *sum, struct loop *loop)
{
    const struct pace *pace = loop->pace;

    sum_up(sum, &loop->counts, &loop->cycles, &loop->latency);
    if (pace != NULL) {
        sum->nb_intended += pace->nb_intended;
        sum->nb_not_sent += pace->nb_not_sent;
        sum->nb_slips += pace->nb_slips;
        greatest(&sum->slipped_ns, (uint64_t)((double)pace->slipped_cycles * loop->ns_per_cycle));
    }
    if (loop->counts.wrong > 0 && loop->type->say != NULL)
        first_wrong_take(sum, loop->said);
    measured_forget(loop);
}

void measured_add(struct measured *sum, const struct measured *part)
{
    sum_up(sum, &part->counts, &part->cycles, &part->latency);
    sum->duration_ns += part->duration_ns;
    sum->nb_intended += part->nb_intended;
    sum->nb_not_sent += part->nb_not_sent;
    sum->nb_slips += part->nb_slips;
    greatest(&sum->slipped_ns, part->slipped_ns);
    first_wrong_take(sum, part->first_wrong);
}

void measured_forget(struct loop *loop)
{
    loop->counts = (struct counts){0};
    loop->cycles = (struct cycles){0};
    record_reset(&loop->latency);
    if (loop->pace != NULL)
        pace_forget(loop->pace);
}
