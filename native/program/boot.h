/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * boot: how a DUT starts, what it was told, and how it lets itself be known.
 *
 * Implemented by each form, chosen at link time: linux.c of this folder, a program of Linux; and
 * <form>.c of uk/lib/boot/, an image's. main.c is the only caller, and image_main there is what
 * this calls.
 *
 * Call order: boot calls image_main; that calls open, memory, then ready, then any number of
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
    unsigned every_s; /* a report each so many seconds; 0: only when asked */
    const atomic_int *stop;
    const atomic_int *ask;
};

/* Why it does not come to be ready: what it was told cannot be done, or the attempt failed. */
enum boot_failure { BOOT_FAILED = 1, BOOT_REFUSED = 2 };

/* The program itself. */
_Noreturn void image_main(void);

void boot_open(struct boot *boot);

/* Zeroed and page-aligned; once. hugepages: of the kernel's 2 MiB pool, or not at all. */
void *boot_memory(uint64_t bytes, bool hugepages);

/* All is open, and it answers at `listen`. From here on an image has no more rights than its work
 * takes. */
void boot_ready(const struct source *listen);

/* The answer to *ask, which is cleared. */
void boot_report(const struct report *report);

_Noreturn void boot_exit(const struct report *report);
/* error: one sentence for the user. */
_Noreturn void boot_fail(enum boot_failure failure, const char *error);

#endif
