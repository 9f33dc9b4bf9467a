/* SPDX-License-Identifier: BSD-3-Clause */
/* paging: see paging.h. Bits of an entry: Intel SDM 3A, table 4-20. */
#include "paging.h"

#include <stddef.h>

#define PRESENT 0x001ull
#define WRITABLE 0x002ull
#define WRITE_THROUGH 0x008ull
#define NOT_CACHED 0x010ull
#define LARGE 0x080ull
#define NO_EXECUTE (1ull << 63)
#define ADDRESS 0x000ffffffffff000ull
#define LEVELS 4u
#define REACH (1ull << 47) /* the lower half of the address space */

static uint64_t flags_of(enum paging_kind kind)
{
    switch (kind) {
    case PAGING_CODE:
        return PRESENT;
    case PAGING_CONSTANTS:
        return PRESENT | NO_EXECUTE;
    case PAGING_DEVICE:
        return PRESENT | WRITABLE | NO_EXECUTE | WRITE_THROUGH | NOT_CACHED;
    case PAGING_DATA:
    default:
        return PRESENT | WRITABLE | NO_EXECUTE;
    }
}

static struct paging_table *take(struct paging *paging)
{
    if (paging->nb_used == paging->nb_tables)
        return NULL;
    struct paging_table *table = &paging->pool[paging->nb_used++];
    for (unsigned i = 0; i < PAGING_ENTRIES; i++)
        table->entries[i] = 0;
    return table;
}

void paging_open(struct paging *paging, struct paging_table *pool, unsigned nb_tables)
{
    *paging = (struct paging){.pool = pool, .nb_tables = nb_tables};
    (void)take(paging);
}

/* Return the entry of an address at a level (1: a page, 2: a large page), and create the tables
 * above it. *is_mapped: the entry is present; it may be a large page that covers the address. NULL:
 * no tables are left. */
static uint64_t *entry_of(struct paging *paging, uint64_t address, unsigned level, bool *is_mapped)
{
    struct paging_table *table = paging->pool;

    *is_mapped = false;
    for (unsigned at = LEVELS;; at--) {
        uint64_t *entry = &table->entries[address >> (12 + 9 * (at - 1)) & (PAGING_ENTRIES - 1)];
        if (at == level || *entry & LARGE) {
            *is_mapped = *entry & PRESENT;
            return entry;
        }
        if (!(*entry & PRESENT)) {
            table = take(paging);
            if (table == NULL)
                return NULL;
            *entry = (uint64_t)(uintptr_t)table | PRESENT | WRITABLE; /* the last level decides */
        }
        table = (struct paging_table *)(uintptr_t)(*entry & ADDRESS);
    }
}

bool paging_map(struct paging *paging, uint64_t begin, uint64_t end, enum paging_kind kind)
{
    uint64_t at = begin & ~(PAGING_PAGE_BYTES - 1);

    if (begin > end || end > REACH)
        return false;
    while (at < end) {
        bool is_large = at % PAGING_LARGE_BYTES == 0 && end - at >= PAGING_LARGE_BYTES, is_mapped;
        uint64_t *entry = entry_of(paging, at, is_large ? 2 : 1, &is_mapped);
        if (entry == NULL)
            return false;
        if (is_large && is_mapped && !(*entry & LARGE)) {
            /* Some small pages are mapped already: add the missing ones one by one. */
            if (!paging_map(paging, at, at + PAGING_LARGE_BYTES - PAGING_PAGE_BYTES, kind) ||
                !paging_map(paging, at + PAGING_LARGE_BYTES - PAGING_PAGE_BYTES,
                            at + PAGING_LARGE_BYTES, kind))
                return false;
        } else if (!is_mapped) {
            *entry = at | flags_of(kind) | (is_large ? LARGE : 0);
        }
        at += is_large ? PAGING_LARGE_BYTES : PAGING_PAGE_BYTES;
    }
    return true;
}
