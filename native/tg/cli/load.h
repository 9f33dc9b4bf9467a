/* SPDX-License-Identifier: BSD-3-Clause */
/* The phases of a load: preload, verify, warm-up, measured time, drain; also down and up. */
#ifndef NEARMETAL_TG_LOAD_H
#define NEARMETAL_TG_LOAD_H

#include <signal.h>

#include "load_options.h"
#include "loop.h"

/* Returns the exit code; prints one line on stderr if it fails. */
int load_run(const struct load_options *options);

/* --first-answer: send a request every millisecond until the first right answer, and print its
 * time. */
int first_answer_run(const struct load_options *options);

/* Wait until the other end of a wire of frames is up. False: not within a minute, or *stopped. */
bool other_end_wait(struct port *port, const volatile sig_atomic_t *stopped);

/* One sentence: no right answer within a minute, and on a wire of frames how many frames were sent
 * and received. Valid until the next call. */
const char *first_answer_none(const struct port *port);

/* As first_answer_run, for a loop with a load and an open port, and without printing. False: no
 * right answer within a minute, or *stopped. */
bool first_answer_wait(struct loop *loop, const volatile sig_atomic_t *stopped);

/* Send one request and wait. True: a reply arrived. */
bool answer_ask(struct loop *loop, uint64_t wait_ns);

/* Receive and drop replies until none has arrived for quiet_ns, or *stopped, or for a minute: their
 * ids are about to be used again. */
void answers_drain(struct port *port, uint64_t quiet_ns, const volatile sig_atomic_t *stopped);

#endif
