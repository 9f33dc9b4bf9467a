/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's memory (rte_malloc.h, rte_memzone.h, rte_memory.h): the machine's, in 2 MiB pages, each
 * byte at its own address for the program and for the device.
 *
 * Nothing is given back: an image opens one port once, and DPDK allocates nothing while it serves.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal_memconfig.h>
#include <rte_errno.h>
#include <rte_malloc.h>
#include <rte_memory.h>
#include <rte_memzone.h>

#include "console.h"
#include "environment.h"
#include "memory.h"

#define CHUNK_BYTES (256u << 10) /* one piece of the machine's memory for many small blocks */
#define LEAST_ALIGN 64u          /* of every block, as rte_malloc's */
#define PAGE_BYTES 4096u
#define ZONES_MAX 32u
/* The driver's state of a ring has an entry of 16 bytes for each descriptor, and the driver does
 * not compare the 16-bit numbers of descriptors that the device returns with the ring's size.
 * Behind each block that can be such a state there is no memory for any of these numbers. */
#define FENCED_BYTES (16u << 10)
#define FENCE_BYTES (1u << 20)

static struct {
    uintptr_t at, end; /* the rest of the current piece */
} heap;

static void *checked(void *taken)
{
    if (taken == NULL)
        console_fail("the machine has too little memory for DPDK's rings and buffers; give it "
                     "more, or a smaller --memory");
    return taken;
}

static void *take(size_t nb_bytes, size_t align)
{
    return checked(memory_take_zeroed(nb_bytes, align < PAGE_BYTES ? PAGE_BYTES : align));
}

void *environment_memory(size_t nb_bytes, size_t align)
{
    align = align < LEAST_ALIGN ? LEAST_ALIGN : align;
    if (nb_bytes >= CHUNK_BYTES / 2 || align > PAGE_BYTES)
        return take(nb_bytes, align);
    uintptr_t begin = (heap.at + align - 1) & ~(align - 1);
    if (heap.at == 0 || begin + nb_bytes > heap.end) {
        begin = (uintptr_t)take(CHUNK_BYTES, PAGE_BYTES);
        heap.end = begin + CHUNK_BYTES;
    }
    heap.at = begin + nb_bytes;
    return (void *)begin;
}

/* ---- the C library's and DPDK's heap ---- */

void *malloc(size_t nb_bytes)
{
    return environment_memory(nb_bytes, 0);
}

void *calloc(size_t nb, size_t nb_bytes)
{
    size_t product;

    return __builtin_mul_overflow(nb, nb_bytes, &product) ? NULL : malloc(product);
}

void free(void *block)
{
    (void)block;
}

char *strdup(const char *text)
{
    size_t nb_bytes = strlen(text) + 1;

    return memcpy(malloc(nb_bytes), text, nb_bytes);
}

void *rte_malloc_socket(const char *type, size_t nb_bytes, unsigned align, int socket)
{
    size_t whole = (nb_bytes + LEAST_ALIGN - 1) & ~(size_t)(LEAST_ALIGN - 1);

    (void)type, (void)socket;
    if (nb_bytes == 0)
        return NULL;
    if (nb_bytes >= FENCED_BYTES && align <= LEAST_ALIGN)
        return checked(memory_take_fenced(whole, FENCE_BYTES));
    return environment_memory(nb_bytes, align);
}

void *rte_zmalloc_socket(const char *type, size_t nb_bytes, unsigned align, int socket)
{
    return rte_malloc_socket(type, nb_bytes, align, socket);
}

void *rte_zmalloc(const char *type, size_t nb_bytes, unsigned align)
{
    return rte_malloc_socket(type, nb_bytes, align, SOCKET_ID_ANY);
}

void rte_free(void *block)
{
    (void)block;
}

int rte_malloc_heap_socket_is_external(int socket)
{
    (void)socket;
    return 0;
}

/* ---- memory with a name ---- */

static struct rte_memzone zones[ZONES_MAX];
static unsigned nb_zones;

const struct rte_memzone *rte_memzone_lookup(const char *name)
{
    for (unsigned i = 0; i < nb_zones; i++) {
        if (zones[i].addr != NULL && strncmp(zones[i].name, name, RTE_MEMZONE_NAMESIZE) == 0)
            return &zones[i];
    }
    return NULL;
}

const struct rte_memzone *rte_memzone_reserve_aligned(const char *name, size_t nb_bytes, int socket,
                                                      unsigned flags, unsigned align)
{
    (void)socket, (void)flags; /* one socket, one size of pages, and all memory is contiguous */
    size_t name_bytes = strlen(name);

    if (rte_memzone_lookup(name) != NULL || nb_bytes == 0 || name_bytes >= RTE_MEMZONE_NAMESIZE) {
        rte_errno = rte_memzone_lookup(name) != NULL ? EEXIST : EINVAL;
        return NULL;
    }
    if (nb_zones == ZONES_MAX) {
        rte_errno = ENOSPC;
        return NULL;
    }
    struct rte_memzone *zone = &zones[nb_zones++];
    memcpy(zone->name, name, name_bytes + 1);
    zone->addr = environment_memory(nb_bytes, align);
    zone->iova = (rte_iova_t)zone->addr;
    zone->len = nb_bytes;
    zone->hugepage_sz = RTE_PGSIZE_2M;
    return zone;
}

const struct rte_memzone *rte_memzone_reserve(const char *name, size_t nb_bytes, int socket,
                                              unsigned flags)
{
    return rte_memzone_reserve_aligned(name, nb_bytes, socket, flags, RTE_CACHE_LINE_SIZE);
}

/* The name is free again, the memory is not. */
int rte_memzone_free(const struct rte_memzone *zone)
{
    for (unsigned i = 0; i < nb_zones; i++) {
        if (&zones[i] == zone && zone->addr != NULL) {
            zones[i].addr = NULL;
            return 0;
        }
    }
    return -EINVAL;
}

/* ---- what DPDK learns about memory ---- */

size_t rte_mem_page_size(void);
size_t rte_mem_page_size(void)
{
    return PAGE_BYTES;
}

int rte_eal_has_hugepages(void)
{
    return 1;
}

/* One list: all memory is in 2 MiB pages. */
int rte_memseg_list_walk(rte_memseg_list_walk_t visit, void *arg)
{
    static const struct rte_memseg_list all = {.page_sz = RTE_PGSIZE_2M};

    return visit(&all, arg);
}

/* No segments are kept, so DPDK takes the next function instead. */
struct rte_memseg *rte_mem_virt2memseg(const void *address, const struct rte_memseg_list *list)
{
    (void)address, (void)list;
    return NULL;
}

rte_iova_t rte_mem_virt2iova(const void *address)
{
    return (rte_iova_t)address;
}

/* As EAL says where -n and -r were not given. */
unsigned rte_memory_get_nchannel(void)
{
    return 0;
}

unsigned rte_memory_get_nrank(void)
{
    return 0;
}
