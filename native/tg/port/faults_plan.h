/* SPDX-License-Identifier: BSD-3-Clause */
/* The parsed text of --faults: the share of frames for each fault. */
#ifndef NEARMETAL_TG_FAULTS_PLAN_H
#define NEARMETAL_TG_FAULTS_PLAN_H

#include <stdint.h>

enum fault { FAULT_LOSS, FAULT_DUPLICATE, FAULT_REORDER, FAULT_CORRUPT, FAULT_DELAY, NB_FAULTS };

struct faults_plan {
    uint64_t below[NB_FAULTS]; /* of 2^32, each including those before it */
    uint64_t delay_ns;
};

/* NULL, or one sentence. */
const char *faults_plan_parse(struct faults_plan *plan, const char *text);

/* The fault for 32 random bits; NB_FAULTS: none. */
static inline enum fault faults_plan_draw(const struct faults_plan *plan, uint32_t bits)
{
    unsigned fault = FAULT_LOSS;

    while (fault < NB_FAULTS && bits >= plan->below[fault])
        fault++;
    return (enum fault)fault;
}

#endif
