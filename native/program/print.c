/* SPDX-License-Identifier: BSD-3-Clause */
/* Print the lines of a DUT on stdout (report.h). */
#include <stdio.h>

#include "report.h"

void print_ready(const struct ready *ready)
{
    char line[REPORT_LINE_BYTES];

    fwrite(line, 1, ready_line(line, ready), stdout);
    fflush(stdout);
}

void print_report(const char *event, const struct report *report, const struct service_words *words)
{
    char line[REPORT_LINE_BYTES];

    fwrite(line, 1, report_line(line, event, report, words), stdout);
    fflush(stdout);
}
