/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The tender of a ukp rung: it owns the vhost-user socket, gives the data process what that may
 * have, and speaks for it. See control.h for what the two share.
 */
#ifndef NEARMETAL_UK_TENDER_H
#define NEARMETAL_UK_TENDER_H

#include <stdbool.h>
#include <stdint.h>

#include "control.h"
#include "vhost_front.h"

struct tender_options {
    struct options dut; /* docs/programs.md: what stands before `--` */
    const char *image;
    struct vhost_front_config front;
    uint8_t mac[6];
};

/* NULL, or one sentence: what is wrong, where, what to do. */
const char *tender_options_parse(struct tender_options *options, int argc, char **argv);

/* The time as the data process is to know it (control.h). */
struct timekeeper {
    struct control_clock *clock;
    uint64_t start_tsc, start_ns; /* of the monotonic clock */
    int64_t wall_minus_monotonic_ns;
    uint64_t next_ns; /* when to look again */
};

void timekeeper_start(struct timekeeper *keeper, struct control_clock *clock);
/* What the counter means by all that is known now, once enough time has gone by: the longer, the
 * better it is known. Returns when to look again, in ns of the monotonic clock. */
uint64_t timekeeper_look(struct timekeeper *keeper, uint64_t now_ns);
uint64_t timekeeper_now_ns(void);
/* Cycles in a second, as well as it is known. */
uint64_t timekeeper_tsc_hz(const struct timekeeper *keeper);

/* The data process. */
struct data {
    int pid;
    int pid_fd;  /* readable once it has ended */
    int page_fd; /* the control page */
    struct control *control;
};

/* The control page, empty. NULL, or one sentence. */
const char *data_open(struct data *data);
/* Start it: unprivileged, with the descriptors of control.h, ending with us. */
const char *data_start(struct data *data, const char *image, const struct vhost_front *front);
/* How it ended, once it has: a sentence, NULL where it was asked to. */
const char *data_end(struct data *data);
void data_close(struct data *data);

#endif
