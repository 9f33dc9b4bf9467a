/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * paging: page tables that map each address to itself (Intel SDM 3A, 4.5). Nothing is both writable
 * and executable: no paging_kind says so.
 *
 * Tables come from a pool of pages. When the pool is used up, mapping fails.
 */
#ifndef NEARMETAL_UK_PAGING_H
#define NEARMETAL_UK_PAGING_H

#include <stdbool.h>
#include <stdint.h>

#define PAGING_PAGE_BYTES 4096ull
#define PAGING_LARGE_BYTES (2ull << 20)
#define PAGING_ENTRIES 512u

enum paging_kind {
    PAGING_CODE,      /* read, execute */
    PAGING_CONSTANTS, /* read */
    PAGING_DATA,      /* read, write */
    PAGING_DEVICE,    /* read, write, not cached */
};

struct paging_table {
    uint64_t entries[PAGING_ENTRIES];
};

struct paging {
    struct paging_table *pool; /* page-aligned; the first table is the root */
    unsigned nb_tables, nb_used;
};

/* The pool has at least one table. */
void paging_open(struct paging *paging, struct paging_table *pool, unsigned nb_tables);

/* Map whole pages, with 2 MiB pages where they fit. Pages that are mapped already keep their
 * rights. False: no tables are left, or the address is beyond the lower half (2^47). */
bool paging_map(struct paging *paging, uint64_t begin, uint64_t end, enum paging_kind kind);

#endif
