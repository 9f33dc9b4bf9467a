/* SPDX-License-Identifier: BSD-3-Clause */
/* The generator's output: one JSON object a line on stdout (docs/programs.md). */
#ifndef NEARMETAL_TG_LINES_H
#define NEARMETAL_TG_LINES_H

#include <stdint.h>

#include "measured.h"
#include "port.h"

void line_event(const char *event); /* a line with no other field */
void line_ready(uint32_t nb_flows, uint32_t window, const struct port_stats *stats);
void line_preloaded(uint32_t nb_keys, uint64_t duration_ns, uint64_t nb_lost);
void line_verified(uint32_t nb_keys, uint64_t duration_ns, uint64_t nb_wrong, uint64_t nb_lost,
                   uint64_t nb_missed);
void line_before(uint32_t nb_records, uint64_t duration_ns, uint64_t nb_lost);
void line_first_answer(uint64_t monotonic_ns);

/* event: "second" or "result"; stats: for a result, otherwise NULL. */
void line_measured(const char *event, const struct measured *measured,
                   const struct port_stats *stats);

#endif
