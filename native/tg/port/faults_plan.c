/* SPDX-License-Identifier: BSD-3-Clause */
#include "faults_plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DELAY_SECONDS_MAX 1.0

static const char *const words[NB_FAULTS] = {"loss", "duplicate", "reorder", "corrupt", "delay"};

static char said[160];

static const char *wrong(const char *part, size_t bytes, const char *wanted)
{
    snprintf(said, sizeof(said), "--faults: \"%.*s\": %s", (int)(bytes < 40 ? bytes : 40), part,
             wanted);
    return said;
}

/* Parse ":1ms" at the end of a part. */
static bool delay_parse(const char *text, const char *end, uint64_t *ns)
{
    static const struct {
        const char *unit;
        double seconds;
    } units[] = {{"us", 1e-6}, {"ms", 1e-3}, {"s", 1}};
    char *unit;
    double value;

    if (text == end || *text != ':')
        return false;
    value = strtod(text + 1, &unit);
    if (unit == text + 1 || unit > end)
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t bytes = strlen(units[i].unit);

        if ((size_t)(end - unit) != bytes || memcmp(unit, units[i].unit, bytes) != 0)
            continue;
        value *= units[i].seconds;
        *ns = value > 0 && value <= DELAY_SECONDS_MAX ? (uint64_t)(value * 1e9) : 0;
        return *ns > 0;
    }
    return false;
}

/* Parse "loss=0.01". */
static const char *part_parse(struct faults_plan *plan, const char *part, size_t bytes,
                              double shares[NB_FAULTS])
{
    const char *equals = memchr(part, '=', bytes), *end = part + bytes;
    size_t word_bytes = equals == NULL ? bytes : (size_t)(equals - part);
    unsigned fault = 0;
    char *behind;

    while (fault < NB_FAULTS &&
           (strlen(words[fault]) != word_bytes || memcmp(words[fault], part, word_bytes) != 0))
        fault++;
    if (fault == NB_FAULTS || equals == NULL)
        return wrong(part, bytes, "expected loss=, duplicate=, reorder=, corrupt= or delay=");
    if (shares[fault] != 0)
        return wrong(part, bytes, "this fault is given twice");
    shares[fault] = strtod(equals + 1, &behind);
    if (behind == equals + 1 || behind > end || !(shares[fault] > 0 && shares[fault] <= 1))
        return wrong(part, bytes, "expected a share of frames: above 0, at most 1");
    if (fault == FAULT_DELAY)
        return delay_parse(behind, end, &plan->delay_ns)
                   ? NULL
                   : wrong(part, bytes,
                           "expected a share and a time up to 1s, such as delay=0.01:1ms");
    return behind == end ? NULL : wrong(part, bytes, "nothing may follow the share");
}

const char *faults_plan_parse(struct faults_plan *plan, const char *text)
{
    double shares[NB_FAULTS] = {0}, sum = 0;
    const char *why = NULL;

    *plan = (struct faults_plan){0};
    for (const char *part = text; why == NULL && part != NULL;) {
        const char *comma = strchr(part, ',');

        why = part_parse(plan, part, comma == NULL ? strlen(part) : (size_t)(comma - part), shares);
        part = comma == NULL ? NULL : comma + 1;
    }
    if (why != NULL)
        return why;
    for (unsigned fault = 0; fault < NB_FAULTS; fault++) {
        sum += shares[fault];
        plan->below[fault] = (uint64_t)((sum > 1 ? 1 : sum) * 0x1p32);
    }
    return sum > 1 + 1e-9 ? "--faults: the shares must not add up to more than 1" : NULL;
}
