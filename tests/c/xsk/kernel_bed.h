/* SPDX-License-Identifier: BSD-3-Clause */
/* A made-up kernel: the other side of the four rings, in memory of exactly their size. */
#ifndef NEARMETAL_TEST_KERNEL_BED_H
#define NEARMETAL_TEST_KERNEL_BED_H

#include <stdatomic.h>
#include <stdint.h>

#include "xsk_rings.h"

/* Indices are on lines of their own, as the kernel lays them out. */
struct kernel_index {
    _Alignas(64) _Atomic uint32_t value;
};

struct kernel_ring {
    struct kernel_index producer, consumer, flags;
    void *entries;
    uint32_t size;
    uint32_t at; /* the kernel's own index */
};

struct kernel {
    struct kernel_ring fill, rx, tx, completion;
    uint8_t *umem;
    struct xsk_rings rings;
};

/* Set up both sides; indices begin at `begin`. */
void kernel_begin(struct kernel *kernel, uint32_t begin);
void kernel_end(struct kernel *kernel);

/* Take an entry that the user published. Each returns false if there is none. */
bool kernel_take_empty(struct kernel *kernel, uint64_t *address);
bool kernel_take_sent(struct kernel *kernel, struct xdp_desc *desc);

/* Publish an entry, valid or not. */
void kernel_put_received(struct kernel *kernel, struct xdp_desc desc);
void kernel_put_completed(struct kernel *kernel, uint64_t address);

/* Receive a frame of `len` bytes of this value, 256 bytes behind the begin of an empty one.
 * Returns its address. */
uint64_t kernel_receive(struct kernel *kernel, uint8_t value, uint32_t len);

#endif
