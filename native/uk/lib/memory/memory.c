/* SPDX-License-Identifier: BSD-3-Clause */
/* memory: see memory.h. */
#include "memory.h"

#include "paging.h"
#include "x86.h"

/* For the image, and for mappings far away from it: devices, the end of the address space. */
#define TABLES_MIN 32u
#define CPUID_HYPERVISOR 0x40000000u

static struct {
    struct paging paging;
    struct span free[MEMORY_RANGES_MAX];
    unsigned nb_free;
} memory;

static uint64_t align_up(uint64_t value, uint64_t to)
{
    return (value + to - 1) & ~(to - 1);
}

/* Memory above the image is free; below it there is only the firmware's. */
static uint64_t note_free(const struct span *ram, unsigned nb, uint64_t image_end)
{
    uint64_t nb_bytes = 0;

    for (unsigned i = 0; i < nb && i < MEMORY_RANGES_MAX; i++) {
        struct span range = {align_up(ram[i].begin, LAYOUT_PAGE_BYTES),
                             ram[i].end & ~(uint64_t)(LAYOUT_PAGE_BYTES - 1)};
        if (range.begin < image_end)
            range.begin = image_end;
        if (range.begin >= range.end)
            continue;
        nb_bytes += range.end - range.begin;
        memory.free[memory.nb_free++] = range;
    }
    return nb_bytes;
}

static uint64_t take_free(uint64_t nb_bytes, uint64_t align)
{
    for (unsigned i = 0; i < memory.nb_free; i++) {
        struct span *range = &memory.free[i];
        uint64_t begin = align_up(range->begin, align);
        if (begin < range->begin || begin > range->end || range->end - begin < nb_bytes)
            continue;
        range->begin = begin + nb_bytes;
        return begin;
    }
    return 0;
}

static bool map_image(const struct layout *layout)
{
    const struct {
        const struct span *span;
        enum paging_kind kind;
    } parts[] = {{&layout->text, PAGING_CODE},           {&layout->rodata, PAGING_CONSTANTS},
                 {&layout->data, PAGING_DATA},           {&layout->stack, PAGING_DATA},
                 {&layout->trap_stack, PAGING_DATA},     {&layout->double_stack, PAGING_DATA},
                 {&layout->interrupt_stack, PAGING_DATA}};

    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!paging_map(&memory.paging, parts[i].span->begin, parts[i].span->end, parts[i].kind))
            return false;
    }
    return true;
}

/* Put the page tables behind the image: one for each GiB that could be taken, and TABLES_MIN. The
 * memory of unused tables is never touched. */
const char *memory_open(const struct span *ram, unsigned nb, const struct layout *layout)
{
    uint64_t image_end = layout->guards[LAYOUT_GUARDS - 1].end;
    uint64_t nb_bytes = note_free(ram, nb, image_end);
    unsigned nb_tables = TABLES_MIN + (unsigned)(nb_bytes >> 30);
    uint64_t tables = take_free(nb_tables * sizeof(struct paging_table), LAYOUT_PAGE_BYTES);

    if (tables == 0)
        return "the machine has too little memory even for its page tables; give it more";
    paging_open(&memory.paging, (struct paging_table *)tables, nb_tables);
    if (!map_image(layout) ||
        !paging_map(&memory.paging, tables, tables + nb_tables * sizeof(struct paging_table),
                    PAGING_DATA))
        return "the image's own memory cannot be mapped";
    x86_set_page_tables(tables);
    return NULL;
}

void *memory_take(uint64_t nb_bytes, uint64_t align)
{
    uint64_t whole = align_up(nb_bytes, LAYOUT_PAGE_BYTES);
    uint64_t begin = whole < nb_bytes ? 0 : take_free(whole, align);

    if (begin == 0 || !paging_map(&memory.paging, begin, begin + whole, PAGING_DATA))
        return NULL;
    return (void *)begin;
}

/* Eight words a turn: on an emulated processor every instruction counts. */
static void zero(uint64_t *at, uint64_t nb_bytes)
{
    for (const uint64_t *end = at + nb_bytes / sizeof(*at); at < end; at += 8) {
        at[0] = at[1] = at[2] = at[3] = 0;
        at[4] = at[5] = at[6] = at[7] = 0;
    }
}

void *memory_take_zeroed(uint64_t nb_bytes, uint64_t align)
{
    void *taken = memory_take(nb_bytes, align);

    if (taken != NULL)
        zero(taken, align_up(nb_bytes, LAYOUT_PAGE_BYTES));
    return taken;
}

void *memory_take_fenced(uint64_t nb_bytes, uint64_t nb_fence_bytes)
{
    uint64_t whole = align_up(nb_bytes, LAYOUT_PAGE_BYTES);
    uint64_t begin =
        take_free(whole + align_up(nb_fence_bytes, LAYOUT_PAGE_BYTES), LAYOUT_PAGE_BYTES);

    if (begin == 0 || !paging_map(&memory.paging, begin, begin + whole, PAGING_DATA))
        return NULL;
    zero((void *)begin, whole);
    return (void *)(begin + whole - nb_bytes);
}

/* Compare the hypervisor's signature: leaf 0x40000000, ebx, ecx, edx. */
static bool is_emulated(void)
{
    struct x86_cpuid r = x86_cpuid(CPUID_HYPERVISOR, 0);

    return r.b == 0x54474354 && r.c == 0x43544743 && r.d == 0x47435447; /* TCGTCGTCGTCG */
}

void memory_refresh(void)
{
    if (is_emulated())
        x86_set_page_tables((uint64_t)memory.paging.pool);
}

void *memory_device(uint64_t address, uint64_t nb_bytes)
{
    if (address + nb_bytes < address ||
        !paging_map(&memory.paging, address, address + nb_bytes, PAGING_DEVICE))
        return NULL;
    return (void *)address;
}
