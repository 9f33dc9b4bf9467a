/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front end's memory, as a back end sees it: regions of it mapped here, each with bounds of its
 * own, and addresses of the other side made ours only where all their bytes lie inside one region.
 *
 * A file that is shorter than a region says is refused, as touching what is not there would kill
 * us (SIGBUS); where the file's kind allows it, it is sealed against shrinking. A front end that
 * truncates an unsealable file afterwards still can kill us; one that leaves cannot: pages stay as
 * long as they are mapped.
 */
#ifndef NEARMETAL_VHOST_MEMORY_H
#define NEARMETAL_VHOST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "vhost_user.h"

struct vhost_region {
    uint64_t guest, user, bytes; /* of the other side */
    uint8_t *host;               /* where it begins here */
    void *map;                   /* what mmap gave, and how much of it */
    size_t map_bytes;
};

struct vhost_memory {
    struct vhost_region regions[VHOST_USER_REGIONS_MAX];
    unsigned nb_regions;
    unsigned last; /* region of the last address: most likely also of the next */
};

/* Map the regions of a message, with its descriptors. False: nothing is mapped. */
bool vhost_memory_map(struct vhost_memory *memory, struct vhost_user_message *message);

/* Let go of the other side's memory. Where it was, zeros can be read until vhost_memory_unmap: a
 * caller may still hold a room or a frame. */
void vhost_memory_retire(struct vhost_memory *memory);

void vhost_memory_unmap(struct vhost_memory *memory);

/* Of a front end's own address (ring addresses); NULL where not all bytes are inside. */
uint8_t *vhost_memory_user(const struct vhost_memory *memory, uint64_t address, size_t bytes);

/* Of a guest-physical address in another region than the last. */
uint8_t *vhost_memory_search(struct vhost_memory *memory, uint64_t address, uint64_t bytes);

/* Of a guest-physical address; NULL where not all bytes are inside, or the address of none is. */
static inline uint8_t *vhost_memory_guest(struct vhost_memory *memory, uint64_t address,
                                          uint64_t bytes)
{
    const struct vhost_region *region = &memory->regions[memory->last];
    uint64_t offset = address - region->guest;

    /* Below the region, offset wraps and is large. */
    if (__builtin_expect(offset < region->bytes && bytes <= region->bytes - offset, 1))
        return region->host + offset;
    return vhost_memory_search(memory, address, bytes);
}

#endif
