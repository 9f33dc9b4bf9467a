/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * boot: how an image starts, what it was told, and how it lets itself be known.
 *
 * Implemented by <form>.c of this folder, chosen at link time. `process`: the data process of a
 * tender (uk/tender/), which has decided everything beforehand; what is said goes to the tender by
 * the control page. uk/main.c is the only caller, and image_main there is what this calls.
 *
 * Call order: boot calls image_main; that calls open, memory, then ready, then any number of
 * reports, then exit; or fail at any time before ready.
 *
 * Errors: memory returns NULL. Nothing else fails.
 */
#ifndef NEARMETAL_UK_BOOT_H
#define NEARMETAL_UK_BOOT_H

#include "options.h"
#include "report.h"

struct boot {
    const struct options *options;
    uint32_t pid;     /* shown by `stats` */
    unsigned every_s; /* a report each so many seconds; 0: only when asked */
    const atomic_int *stop;
    const atomic_int *ask;
};

/* The image's own program. */
_Noreturn void image_main(void);

void boot_open(struct boot *boot);

/* Zeroed and page-aligned; once. hugepages: of the kernel's 2 MiB pool, or not at all. */
void *boot_memory(uint64_t bytes, bool hugepages);

/* All is open: from here on the image has no more rights than its work takes. */
void boot_ready(void);

/* The answer to *ask, which is cleared. */
void boot_report(const struct report *report);

_Noreturn void boot_exit(const struct report *report);
_Noreturn void boot_fail(const char *error);

#endif
