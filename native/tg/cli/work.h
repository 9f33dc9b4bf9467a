/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A load: the state of the whole, and a worker for each core.
 *
 * Workers share nothing during their turns: each has its own port, window, range of keys and
 * schedule. All workers are in the same phase. Between two meetings only worker 0 acts: it adds up
 * the counts and prints.
 */
#ifndef NEARMETAL_TG_WORK_H
#define NEARMETAL_TG_WORK_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#include "load_options.h"
#include "loop.h"
#include "measured.h"
#include "meeting.h"

enum outcome { OUTCOME_DONE, OUTCOME_STOPPED, OUTCOME_DOWN, OUTCOME_FAILED };

struct load;

struct worker {
    struct load *load;
    unsigned index;
    pthread_t thread;
    struct loop loop;
    struct pace pace;
    uint64_t nb_malformed; /* of the port, when last taken */
};

struct load {
    const struct load_options *options;
    uint64_t tsc_hz;
    uint64_t left_ns;      /* of the measured time */
    uint64_t begin_cycles; /* of the phase */
    atomic_int over;       /* enum outcome: why the phase ends early */
    struct meeting meeting;
    struct measured second, total;
    unsigned nb_workers;
    struct worker *workers;
};

/* Set by signals. */
extern volatile sig_atomic_t work_stopped;
extern volatile sig_atomic_t work_going; /* --share: all generators start now */

/* Run all lives of the target and the final drain. Every worker calls it, and all get the same
 * result. */
enum outcome work_run(struct worker *worker);

#endif
