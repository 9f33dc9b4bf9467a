/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio: access to a network device over one of two transports, found at run time: virtio-pci of
 * version 1 (virtio 1.1, 4.1) or virtio-mmio of version 2 (4.2).
 *
 * Call order: one of the two find functions; then agree, interrupt, queues, driver_ok (3.1.1).
 *
 * Errors: NULL, or one sentence. Every offset and number that the device gives is checked against
 * the window that it belongs to.
 */
#ifndef NEARMETAL_UK_VIRTIO_H
#define NEARMETAL_UK_VIRTIO_H

#include <stdbool.h>
#include <stdint.h>

#include "pci.h"
#include "vring.h"

#define VIRTIO_QUEUES 2u

/* Registers mapped in memory. */
struct virtio_window {
    volatile uint8_t *at;
    uint32_t nb_bytes;
};

struct virtio {
    const struct virtio_access *access;
    struct virtio_window common; /* mmio: all registers */
    struct virtio_window config; /* device-specific configuration */
    struct virtio_window notify;
    uint32_t notify_multiplier;
    struct pci_device device;
    bool has_interrupt;
    unsigned line;                             /* mmio: pin of the I/O APIC */
    struct virtio_window bells[VIRTIO_QUEUES]; /* pci: notify register of each queue */
};

/* The operations of one transport. */
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

/* Find a network device. *is_there: there is one; its absence is not an error. */
const char *virtio_pci_find(struct virtio *virtio, bool *is_there);
const char *virtio_mmio_find(struct virtio *virtio, uint64_t address, uint64_t nb_bytes,
                             unsigned line, bool *is_there);

/* Reset the device, and negotiate those of the `wanted` features that it offers. It must offer
 * VERSION_1. */
const char *virtio_agree(const struct virtio *virtio, uint64_t wanted, uint64_t *features);

/* Number of entries for a queue's ring: a power of two, at most `wanted`. 0: no such queue. */
uint32_t virtio_queue_size(const struct virtio *virtio, unsigned queue, uint32_t wanted);

static inline const char *virtio_queue_start(struct virtio *virtio, unsigned queue,
                                             const struct vring *ring)
{
    return virtio->access->queue_start(virtio, queue, ring);
}

/* Let the device's calls end interrupts_sleep. False: the device has no interrupt. The rings decide
 * for which buffers the device calls. */
static inline bool virtio_interrupt(struct virtio *virtio)
{
    virtio->has_interrupt = virtio->access->interrupt(virtio);
    return virtio->has_interrupt;
}

void virtio_driver_ok(const struct virtio *virtio);

/* Read bytes of the device-specific configuration. False: it is shorter. */
bool virtio_config(const struct virtio *virtio, unsigned offset, uint8_t *to, unsigned nb_bytes);

/* The ring entries are in memory before the kick: x86 keeps the order of stores. */
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

/* Write two halves: both transports allow this for registers of 64 bits (4.1.3.1, 4.2.2). */
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
