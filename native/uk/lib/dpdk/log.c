/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's messages (rte_log.h): the first error while it starts becomes part of the sentence with
 * which the image ends (datapath/dpdk/device.c); all others are dropped. And its panics. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <rte_log.h>
#include <rte_debug.h>

#include "console.h"
#include "environment.h"
#include "hush.h"

#define SENTENCE_BYTES 384u

static char first[HUSH_BYTES];

struct hush hush_begin(void)
{
    first[0] = '\0';
    return (struct hush){0};
}

/* A message ends with its line, and JSON has no quotation marks inside. */
void hush_end(const struct hush *hush, char complaint[HUSH_BYTES])
{
    size_t nb = 0;

    (void)hush;
    for (; first[nb] != '\0' && first[nb] != '\n'; nb++)
        complaint[nb] = first[nb] == '"' || first[nb] == '\\' || first[nb] < ' ' ? '\'' : first[nb];
    complaint[nb] = '\0';
}

void hush_report(const char *program, const char *complaint)
{
    (void)program, (void)complaint; /* the console has lines of JSON only */
}

int rte_log(uint32_t level, uint32_t kind, const char *format, ...)
{
    va_list values;

    (void)kind;
    if (level > RTE_LOG_ERR || first[0] != '\0')
        return 0;
    va_start(values, format);
    (void)environment_print(first, sizeof(first), format, values);
    va_end(values);
    return 0;
}

void rte_log_set_global_level(uint32_t level)
{
    (void)level;
}

int rte_log_register_type_and_pick_level(const char *name, uint32_t level)
{
    (void)name, (void)level;
    return RTE_LOGTYPE_FIRST_EXT_ID;
}

void __rte_panic(const char *function, const char *format, ...)
{
    char what[SENTENCE_BYTES / 2], sentence[SENTENCE_BYTES];
    va_list values;

    va_start(values, format);
    (void)environment_print(what, sizeof(what), format, values);
    va_end(values);
    what[strnlen(what, sizeof(what)) - (what[0] != '\0')] = '\0'; /* its end of line */
    (void)snprintf(sentence, sizeof(sentence), "the image stopped: DPDK gave up in %s: %s",
                   function, what);
    console_fail(sentence);
}

void environment_absent(const char *function)
{
    char sentence[SENTENCE_BYTES];

    (void)snprintf(sentence, sizeof(sentence),
                   "the image stopped: DPDK called %s, which images do not have", function);
    console_fail(sentence);
}

/* A function found that the value before its return address has changed. */
void __stack_chk_fail(void);
void __stack_chk_fail(void)
{
    console_fail("the image stopped: a function of DPDK wrote past a buffer on its stack");
}
