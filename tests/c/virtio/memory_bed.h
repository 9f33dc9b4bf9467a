/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The memory of a driver, on the heap: two rings and buffers, which the device side sees as one
 * region of exactly their size. AddressSanitizer guards the bytes around it.
 */
#ifndef NEARMETAL_TEST_MEMORY_BED_H
#define NEARMETAL_TEST_MEMORY_BED_H

#include "vhost_ring.h"
#include "vring_driver.h"

enum { BED_ROOMS, BED_FRAMES, BED_RINGS };

#define BED_GUEST 0x7000000ull /* guest-physical address of the memory */
#define BED_SIZE_MAX 1024u
#define BED_BUFFER_BYTES 1536u

struct bed {
    uint8_t *bytes;
    size_t nb_bytes;
    struct vhost_memory memory;
    struct vhost_ring *device[BED_RINGS];
    struct vring_driver driver[BED_RINGS];
    uint16_t order[BED_RINGS][BED_SIZE_MAX];
    size_t buffers; /* offset of the first; one per descriptor */
};

/* Open rings of `size`, counting from `start`; the driver's side has offered no buffer. */
void bed_open(struct bed *bed, uint32_t size, uint16_t start, bool in_order, bool event_idx);
void bed_close(struct bed *bed);

/* Buffer i: its address here, and the driver's address of it. */
uint8_t *bed_buffer(const struct bed *bed, uint16_t i);
uint64_t bed_guest(const struct bed *bed, uint16_t i);

/* Write any values to descriptor i of a ring. */
void bed_describe(struct bed *bed, unsigned ring, uint16_t i, uint64_t addr, uint32_t len,
                  uint16_t flags, uint16_t next);

/* Make the chain at head available. */
void bed_offer(struct bed *bed, unsigned ring, uint16_t head);

#endif
