/* SPDX-License-Identifier: BSD-3-Clause */
/* The front end's memory: see vhost_memory.h. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vhost_memory.h"

static bool overlap(uint64_t a, uint64_t a_bytes, uint64_t b, uint64_t b_bytes)
{
    return a < b + b_bytes && b < a + a_bytes;
}

/* Whether no region is empty, wraps round, or overlaps one before it. */
static bool regions_sound(const struct vhost_user_memory *table)
{
    if (table->nb_regions > VHOST_USER_REGIONS_MAX)
        return false;
    for (unsigned i = 0; i < table->nb_regions; i++) {
        const struct vhost_user_region *one = &table->regions[i];
        uint64_t end;
        if (one->bytes == 0 || __builtin_add_overflow(one->guest, one->bytes, &end) ||
            __builtin_add_overflow(one->user, one->bytes, &end) ||
            __builtin_add_overflow(one->offset, one->bytes, &end) || end > INT64_MAX)
            return false;
        for (unsigned j = 0; j < i; j++) {
            const struct vhost_user_region *other = &table->regions[j];
            if (overlap(one->guest, one->bytes, other->guest, other->bytes) ||
                overlap(one->user, one->bytes, other->user, other->bytes))
                return false;
        }
    }
    return true;
}

static bool map_region(struct vhost_region *region, const struct vhost_user_region *from, int fd)
{
    struct stat file;

    if (fd < 0 || fstat(fd, &file) != 0 || !S_ISREG(file.st_mode))
        return false;
    (void)fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK); /* fails for files that cannot be sealed */
    if (fstat(fd, &file) != 0 || (uint64_t)file.st_size < from->offset + from->bytes)
        return false;
    /* A file in large pages can only be mapped and unmapped in whole pages. */
    uint64_t page = (uint64_t)file.st_blksize > 4096 ? (uint64_t)file.st_blksize : 4096;
    uint64_t start = from->offset / page * page;
    uint64_t end = (from->offset + from->bytes + page - 1) / page * page;
    void *map = mmap(NULL, end - start, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)start);
    if (map == MAP_FAILED)
        return false;
    *region = (struct vhost_region){.guest = from->guest,
                                    .user = from->user,
                                    .bytes = from->bytes,
                                    .host = (uint8_t *)map + (from->offset - start),
                                    .map = map,
                                    .map_bytes = end - start};
    return true;
}

bool vhost_memory_map(struct vhost_memory *memory, struct vhost_user_message *message)
{
    const struct vhost_user_memory *table = &message->payload.memory;
    size_t wanted = offsetof(struct vhost_user_memory, regions);

    *memory = (struct vhost_memory){0};
    if (message->header.bytes < wanted || !regions_sound(table) ||
        message->header.bytes < wanted + table->nb_regions * sizeof(table->regions[0]))
        return false;
    for (unsigned i = 0; i < table->nb_regions; i++) {
        int fd = vhost_user_take(message, i);
        bool mapped = map_region(&memory->regions[i], &table->regions[i], fd);
        if (fd >= 0)
            close(fd);
        if (!mapped) {
            vhost_memory_unmap(memory);
            return false;
        }
        memory->nb_regions = i + 1;
    }
    return true;
}

void vhost_memory_retire(struct vhost_memory *memory)
{
    for (unsigned i = 0; i < memory->nb_regions; i++) {
        struct vhost_region *region = &memory->regions[i];
        /* In the same place, atomically; if this fails, the old pages stay. */
        (void)mmap(region->map, region->map_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    }
}

void vhost_memory_unmap(struct vhost_memory *memory)
{
    for (unsigned i = 0; i < memory->nb_regions; i++)
        munmap(memory->regions[i].map, memory->regions[i].map_bytes);
    *memory = (struct vhost_memory){0};
}

uint8_t *vhost_memory_user(const struct vhost_memory *memory, uint64_t address, size_t bytes)
{
    for (unsigned i = 0; i < memory->nb_regions; i++) {
        const struct vhost_region *region = &memory->regions[i];
        uint64_t offset = address - region->user;
        if (offset < region->bytes && bytes <= region->bytes - offset)
            return region->host + offset;
    }
    return NULL;
}

uint8_t *vhost_memory_search(struct vhost_memory *memory, uint64_t address, uint64_t bytes)
{
    for (unsigned i = 0; i < memory->nb_regions; i++) {
        const struct vhost_region *region = &memory->regions[i];
        uint64_t offset = address - region->guest;
        if (offset < region->bytes && bytes <= region->bytes - offset) {
            memory->last = i;
            return region->host + offset;
        }
    }
    return NULL;
}
