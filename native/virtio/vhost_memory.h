/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front end's memory in a back end: its regions, mapped here, and the translation of its
 * addresses. An address is translated only where all its bytes lie inside one region.
 *
 * A file that is shorter than its region is refused, because touching bytes beyond its end would
 * kill this process (SIGBUS). Files that can be sealed are sealed against shrinking. A front end
 * that truncates an unsealable file afterwards can still kill this process; one that leaves cannot:
 * pages stay as long as they are mapped.
 */
#ifndef NEARMETAL_VHOST_MEMORY_H
#define NEARMETAL_VHOST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "vhost_user.h"

struct vhost_region {
    uint64_t guest, user, bytes; /* addresses in the other side's spaces */
    uint8_t *host;               /* start in our address space */
    void *map;                   /* start of the whole mapping */
    size_t map_bytes;
};

struct vhost_memory {
    struct vhost_region regions[VHOST_USER_REGIONS_MAX];
    unsigned nb_regions;
    unsigned last; /* region of the last address, most likely also of the next */
};

/* Map the regions of a message, with its descriptors. Returns false on errors, with nothing
 * mapped. */
bool vhost_memory_map(struct vhost_memory *memory, struct vhost_user_message *message);

/* Release the other side's memory. Its addresses read as zeros until vhost_memory_unmap, because a
 * caller may still hold a room or a frame. */
void vhost_memory_retire(struct vhost_memory *memory);

void vhost_memory_unmap(struct vhost_memory *memory);

/* Translate a front end's own address (of a ring); NULL unless all bytes are inside one region. */
uint8_t *vhost_memory_user(const struct vhost_memory *memory, uint64_t address, size_t bytes);

/* Translate a guest-physical address that is not in the last region; NULL as below. */
uint8_t *vhost_memory_search(struct vhost_memory *memory, uint64_t address, uint64_t bytes);

/* Translate a guest-physical address; NULL unless all bytes are inside one region. */
static inline uint8_t *vhost_memory_guest(struct vhost_memory *memory, uint64_t address,
                                          uint64_t bytes)
{
    const struct vhost_region *region = &memory->regions[memory->last];
    uint64_t offset = address - region->guest;

    /* For addresses below the region, offset wraps and is large. */
    if (__builtin_expect(offset < region->bytes && bytes <= region->bytes - offset, 1))
        return region->host + offset;
    return vhost_memory_search(memory, address, bytes);
}

#endif
