/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * boot: how a DUT starts, gets its options, and reports.
 *
 * Implemented by each form, chosen at link time: linux.c in this folder for a Linux program, and
 * <form>.c of uk/lib/boot/ for an image. main.c is the only caller; it defines image_main, which
 * boot calls.
 *
 * Call order: boot calls image_main; image_main calls open, memory, then ready, then any number of
 * reports, then exit; or fail at any time before ready.
 *
 * Errors: memory returns NULL. Nothing else fails.
 */
#ifndef NEARMETAL_BOOT_H
#define NEARMETAL_BOOT_H

#include "options.h"
#include "report.h"

struct boot {
    const struct options *options;
    uint32_t pid;     /* shown by `stats` */
    unsigned every_s; /* seconds between reports; 0: report only on request */
    const atomic_int *stop;
    const atomic_int *ask;
};

/* Why a DUT does not become ready: the attempt failed, or the options cannot be met. */
enum boot_failure { BOOT_FAILED = 1, BOOT_REFUSED = 2 };

/* The program itself. */
_Noreturn void image_main(void);

void boot_open(struct boot *boot);

/* Get zeroed, page-aligned memory; once. hugepages: from the kernel's 2 MiB pool, or NULL. */
void *boot_memory(uint64_t bytes, bool hugepages);

/* Report that all is open and the DUT answers at `listen`. From here on an image has no more rights
 * than serving needs. */
void boot_ready(const struct source *listen);

/* Report in answer to *ask, and clear it. */
void boot_report(const struct report *report);

_Noreturn void boot_exit(const struct report *report);
/* error: one sentence for the user. */
_Noreturn void boot_fail(enum boot_failure failure, const char *error);

#endif
