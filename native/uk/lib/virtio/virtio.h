/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio: a network device's registers behind one of two transports, virtio-pci of version 1
 * (virtio 1.1, 4.1) or virtio-mmio of version 2 (4.2), found at run time.
 *
 * Call order: one of the finds; then agree, interrupt, queues, driver_ok (3.1.1).
 *
 * Errors: NULL, or one sentence. Every place and number that the device names is checked against
 * the room that it has.
 */
#ifndef NEARMETAL_UK_VIRTIO_H
#define NEARMETAL_UK_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "pci.h"
#include "vring.h"

#define VIRTIO_QUEUES 2u

/* Registers that lie in memory. */
struct virtio_window {
    volatile uint8_t *at;
    uint32_t nb_bytes;
};

struct virtio {
    const struct virtio_access *access;
    struct virtio_window common; /* mmio: all of them */
    struct virtio_window config; /* the device's own */
    struct virtio_window notify;
    uint32_t notify_multiplier;
    struct pci_device device;
    bool has_interrupt;
    unsigned line;                             /* mmio: of the I/O APIC */
    struct virtio_window bells[VIRTIO_QUEUES]; /* pci: where a queue's number is written */
};

/* Of one transport. */
struct virtio_access {
    const char *name;
    uint8_t (*status)(const struct virtio *virtio);
    void (*set_status)(const struct virtio *virtio, uint8_t status);
    uint32_t (*features)(const struct virtio *virtio, unsigned half);
    void (*set_features)(const struct virtio *virtio, unsigned half, uint32_t features);
    uint32_t (*queue_max)(const struct virtio *virtio, unsigned queue);
    const char *(*queue_start)(struct virtio *virtio, unsigned queue, const struct vring *ring);
    bool (*interrupt)(struct virtio *virtio);
    void (*kick)(const struct virtio *virtio, unsigned queue);
};

/* *is_there: a network device was found; that there is none is no error. */
const char *virtio_pci_find(struct virtio *virtio, bool *is_there);
const char *virtio_mmio_find(struct virtio *virtio, uint64_t address, uint64_t nb_bytes,
                             unsigned line, bool *is_there);

/* Reset it, and agree on those of `wanted` that it has. VERSION_1 must be among them. */
const char *virtio_agree(const struct virtio *virtio, uint64_t wanted, uint64_t *features);

/* Entries of a queue's ring: a power of two, at most so many as wanted; 0: no such queue. */
uint32_t virtio_queue_size(const struct virtio *virtio, unsigned queue, uint32_t wanted);

static inline const char *virtio_queue_start(struct virtio *virtio, unsigned queue,
                                             const struct vring *ring)
{
    return virtio->access->queue_start(virtio, queue, ring);
}

/* Have interrupts_sleep return when the device calls; false: it has no way to. Whether it calls,
 * its rings say, buffer by buffer. */
static inline bool virtio_interrupt(struct virtio *virtio)
{
    virtio->has_interrupt = virtio->access->interrupt(virtio);
    return virtio->has_interrupt;
}

void virtio_driver_ok(const struct virtio *virtio);

/* Bytes of its own configuration; false: it has not so many. */
bool virtio_config(const struct virtio *virtio, unsigned offset, uint8_t *to, unsigned nb_bytes);

/* What was published before is in memory first: x86 keeps the order of stores. */
static inline void virtio_kick(const struct virtio *virtio, unsigned queue)
{
    virtio->access->kick(virtio, queue);
}

/* ---- for the transports ---- */

static inline void virtio_write32(const struct virtio_window *window, unsigned at, uint32_t value)
{
    *(volatile uint32_t *)(volatile void *)(window->at + at) = value;
}

static inline uint32_t virtio_read32(const struct virtio_window *window, unsigned at)
{
    return *(volatile uint32_t *)(volatile void *)(window->at + at);
}

/* As two halves: registers of 64 bits may be written so by either transport (4.1.3.1, 4.2.2). */
static inline void virtio_write_address(const struct virtio_window *window, unsigned at,
                                        const volatile void *address)
{
    virtio_write32(window, at, (uint32_t)(uint64_t)address);
    virtio_write32(window, at + 4, (uint32_t)((uint64_t)address >> 32));
}

static inline void virtio_write16(const struct virtio_window *window, unsigned at, uint16_t value)
{
    *(volatile uint16_t *)(volatile void *)(window->at + at) = value;
}

static inline uint16_t virtio_read16(const struct virtio_window *window, unsigned at)
{
    return *(volatile uint16_t *)(volatile void *)(window->at + at);
}

#endif
