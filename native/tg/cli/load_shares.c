/* SPDX-License-Identifier: BSD-3-Clause */
#include "load_shares.h"

#include <sched.h>
#include <stdlib.h>

#include "pace.h"

const char *shares_lcores(const char *text, struct load_options *options)
{
    static const char wanted[] = "core numbers, each once, separated by commas";

    for (options->nb_lcores = 0; options->nb_lcores < LCORES_MAX; text++) {
        char *end;
        unsigned long core = strtoul(text, &end, 10);

        if (end == text || *text < '0' || *text > '9' || core >= CPU_SETSIZE)
            return wanted;
        for (uint32_t i = 0; i < options->nb_lcores; i++)
            if (options->lcores[i] == core)
                return wanted;
        options->lcores[options->nb_lcores++] = (unsigned)core;
        text = end;
        if (*text != ',')
            return *text == '\0' ? NULL : wanted;
    }
    return "at most 64 cores";
}

const char *shares_share(const char *text, struct load_options *options)
{
    static const char wanted[] = "I/N such as 1/2: generator I of N, at most 64";
    char *end;
    unsigned long place = strtoul(text, &end, 10), nb;

    if (end == text || *text < '0' || *text > '9' || *end != '/')
        return wanted;
    text = end + 1;
    nb = strtoul(text, &end, 10);
    if (end == text || *text < '0' || *text > '9' || *end != '\0')
        return wanted;
    if (place < 1 || place > nb || nb > SHARES_MAX)
        return wanted;
    options->share = (unsigned)place - 1;
    options->nb_shares = (unsigned)nb;
    return NULL;
}

const char *shares_check(const struct load_options *options)
{
    uint32_t nb = shares_nb_all(options);

    if (options->nb_flows < nb || options->window < nb ||
        (options->workload.nb_keys < nb && !options->type->recorded))
        return "--lcores, --share: --flows, --window and --keys must be at least 1 for each core";
    if (options->rate > 0 && options->rate < nb * PACE_RATE_MIN)
        return "--lcores, --share: --rate must be at least 10 a second for each core";
    return NULL;
}

unsigned shares_nb_workers(const struct load_options *options)
{
    return options->nb_lcores == 0 ? 1 : options->nb_lcores;
}

unsigned shares_nb_all(const struct load_options *options)
{
    return shares_nb_workers(options) * (options->nb_shares == 0 ? 1 : options->nb_shares);
}

unsigned shares_place(const struct load_options *options, unsigned worker)
{
    return options->share * shares_nb_workers(options) + worker;
}

uint32_t shares_begin(const struct load_options *options, uint32_t whole, unsigned worker)
{
    return (uint32_t)((uint64_t)whole * shares_place(options, worker) / shares_nb_all(options));
}

uint32_t shares_of(const struct load_options *options, uint32_t whole, unsigned worker)
{
    return shares_begin(options, whole, worker + 1) - shares_begin(options, whole, worker);
}

uint32_t shares_ours(const struct load_options *options, uint32_t whole)
{
    return shares_begin(options, whole, shares_nb_workers(options)) -
           shares_begin(options, whole, 0);
}

bool shares_ask_before(const struct load_options *options)
{
    return options->type->recorded && options->records.nb_before > 0 && options->share == 0;
}
