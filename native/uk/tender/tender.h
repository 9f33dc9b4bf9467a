/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tender of a ukp rung: owns the vhost-user socket, gives the data process its memory and
 * descriptors, and prints for it. control.h describes the page that both share.
 */
#ifndef NEARMETAL_UK_TENDER_H
#define NEARMETAL_UK_TENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "control.h"
#include "stuck.h"
#include "vhost_front.h"

struct tender_options {
    struct options dut; /* before `--` (docs/programs.md) */
    const char *image;
    struct vhost_front_config front;
    uint8_t mac[6];
};

/* NULL, or one sentence: what is wrong, where, what to do. */
const char *tender_options_parse(struct tender_options *options, int argc, char **argv);

/* The clock that the tender publishes to the data process (control.h). */
struct timekeeper {
    struct control_clock *clock;
    uint64_t start_tsc, start_ns; /* start_ns: of the monotonic clock */
    int64_t wall_minus_monotonic_ns;
    uint64_t next_ns; /* time of the next update */
};

void timekeeper_start(struct timekeeper *keeper, struct control_clock *clock);
/* Publish a better estimate of the counter's frequency once the next update is due: the error
 * shrinks with the time since the start. Returns when to call again, in ns of the monotonic
 * clock. */
uint64_t timekeeper_look(struct timekeeper *keeper, uint64_t now_ns);
uint64_t timekeeper_now_ns(void);
/* Cycles in a second, by the current estimate. */
uint64_t timekeeper_tsc_hz(const struct timekeeper *keeper);

/* The data process, from the tender's side. */
struct data {
    int pid;
    int pid_fd;  /* readable once the process has ended */
    int page_fd; /* memfd of the control page */
    struct control *control;
};

/* Create the control page, zeroed. NULL, or one sentence. */
const char *data_open(struct data *data);
/* Start the process: unprivileged, with the descriptors of control.h only, killed if the tender
 * ends. NULL, or one sentence. */
const char *data_start(struct data *data, const char *image, const struct vhost_front *front);
/* Reap a process that has ended. NULL: it stopped as requested; else one sentence says how it
 * ended. */
const char *data_end(struct data *data);
/* Return the processor time that the process has spent; 0: it has ended. */
uint64_t data_spent_ns(const struct data *data);
void data_close(struct data *data);

#endif
