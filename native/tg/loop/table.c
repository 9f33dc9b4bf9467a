/* SPDX-License-Identifier: BSD-3-Clause */
#include "table.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE_BYTES ((size_t)2 << 20)

static size_t whole_pages(size_t bytes)
{
    return (bytes + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

/* A large page begins at a multiple of its size: map one page more than needed, and unmap the rest
 * around the aligned part. */
static void *pages_open(size_t bytes)
{
    uint8_t *map = mmap(NULL, bytes + PAGE_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t before;

    if (map == MAP_FAILED)
        return NULL;
    before = (PAGE_BYTES - (uintptr_t)map % PAGE_BYTES) % PAGE_BYTES;
    if (before > 0)
        munmap(map, before);
    munmap(map + before + bytes, PAGE_BYTES - before);
    (void)madvise(map + before, bytes, MADV_HUGEPAGE); /* otherwise small pages are used */
    return map + before;
}

void *table_open(size_t bytes)
{
    return bytes < PAGE_BYTES ? calloc(1, bytes) : pages_open(whole_pages(bytes));
}

void table_close(void *table, size_t bytes)
{
    if (table == NULL)
        return;
    if (bytes < PAGE_BYTES)
        free(table);
    else
        munmap(table, whole_pages(bytes));
}
