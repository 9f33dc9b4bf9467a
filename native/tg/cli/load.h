/* SPDX-License-Identifier: BSD-3-Clause */
/* The phases of a load: preload, verify, warm-up, measured time, drain; and down and up. */
#ifndef NEARMETAL_TG_LOAD_H
#define NEARMETAL_TG_LOAD_H

#include <signal.h>

#include "load_options.h"

/* Returns the exit code; what failed is said in one line on stderr. */
int load_run(const struct load_options *options);

/* --first-answer: ask every millisecond until the first right answer, print when it came. */
int first_answer_run(const struct load_options *options);

/* Wait until the other end of a wire of frames has come; false: not within a minute, or *stopped.
 */
bool other_end_wait(struct port *port, const volatile sig_atomic_t *stopped);

/* In words: none came within a minute; of frames also what did. Until the next call. */
const char *first_answer_none(const struct port *port);

/* The same as first_answer_run on an open port; false: it did not come, or *stopped. */
bool first_answer_wait(const struct load_options *options, struct port *port,
                       const struct format *format, const volatile sig_atomic_t *stopped);

/* Ask once, wait; true: something came back. */
bool answer_ask(struct port *port, const struct format *format, uint64_t wait_ns);

/* Take what still comes, until nothing came for so long, or *stopped: its ids are about to be used
 * again. Ends after a minute in any case. */
void answers_drain(struct port *port, uint64_t quiet_ns, const volatile sig_atomic_t *stopped);

#endif
