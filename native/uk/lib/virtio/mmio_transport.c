/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio over MMIO (virtio 1.1, 4.2), version 2: registers of 32 bits at an address that the
 * monitor names. */
#include "interrupts.h"
#include "memory.h"
#include "virtio.h"

#define MAGIC 0x74726976u /* "virt" */
#define VERSION 2u
#define VERSION_LEGACY 1u
#define ID_NET 1u

enum { /* 4.2.2 */
       REGISTER_MAGIC = 0x000,
       REGISTER_VERSION = 0x004,
       REGISTER_ID = 0x008,
       FEATURES = 0x010,
       FEATURES_SELECT = 0x014,
       DRIVER_FEATURES = 0x020,
       DRIVER_FEATURES_SELECT = 0x024,
       QUEUE_SELECT = 0x030,
       QUEUE_MAX = 0x034,
       QUEUE_SIZE = 0x038,
       QUEUE_READY = 0x044,
       QUEUE_NOTIFY = 0x050,
       INTERRUPT_STATUS = 0x060,
       INTERRUPT_ACK = 0x064,
       STATUS = 0x070,
       QUEUE_DESC = 0x080,
       QUEUE_DRIVER = 0x090,
       QUEUE_DEVICE = 0x0a0,
       CONFIG = 0x100
};

static uint8_t status(const struct virtio *virtio)
{
    return (uint8_t)virtio_read32(&virtio->common, STATUS);
}

static void set_status(const struct virtio *virtio, uint8_t value)
{
    virtio_write32(&virtio->common, STATUS, value);
}

static uint32_t features(const struct virtio *virtio, unsigned half)
{
    virtio_write32(&virtio->common, FEATURES_SELECT, half);
    return virtio_read32(&virtio->common, FEATURES);
}

static void set_features(const struct virtio *virtio, unsigned half, uint32_t value)
{
    virtio_write32(&virtio->common, DRIVER_FEATURES_SELECT, half);
    virtio_write32(&virtio->common, DRIVER_FEATURES, value);
}

static uint32_t queue_max(const struct virtio *virtio, unsigned queue)
{
    virtio_write32(&virtio->common, QUEUE_SELECT, queue);
    return virtio_read32(&virtio->common, QUEUE_MAX);
}

static const char *queue_start(struct virtio *virtio, unsigned queue, const struct vring *ring)
{
    virtio_write32(&virtio->common, QUEUE_SELECT, queue);
    virtio_write32(&virtio->common, QUEUE_SIZE, ring->size);
    virtio_write_address(&virtio->common, QUEUE_DESC, ring->desc);
    virtio_write_address(&virtio->common, QUEUE_DRIVER, ring->avail);
    virtio_write_address(&virtio->common, QUEUE_DEVICE, ring->used);
    virtio_write32(&virtio->common, QUEUE_READY, 1);
    return NULL;
}

static struct virtio_window interrupting;

/* Acknowledge the interrupt: the line stays up until then, and only its rise is an interrupt. */
static void on_interrupt(void)
{
    virtio_write32(&interrupting, INTERRUPT_ACK, virtio_read32(&interrupting, INTERRUPT_STATUS));
}

static bool interrupt(struct virtio *virtio)
{
    interrupting = virtio->common;
    on_interrupt();
    interrupts_line(virtio->line, INTERRUPT_EDGE, INTERRUPT_NETWORK, on_interrupt);
    return true;
}

static void kick(const struct virtio *virtio, unsigned queue)
{
    virtio_write32(&virtio->common, QUEUE_NOTIFY, queue);
}

const char *virtio_mmio_find(struct virtio *virtio, uint64_t address, uint64_t nb_bytes,
                             unsigned line, bool *is_there)
{
    static const struct virtio_access access = {"mmio",      status,       set_status,
                                                features,    set_features, queue_max,
                                                queue_start, interrupt,    kick};
    struct virtio_window all = {NULL, (uint32_t)nb_bytes};

    *is_there = false;
    if (nb_bytes < CONFIG || nb_bytes > UINT32_MAX || address % 4 != 0)
        return NULL;
    all.at = memory_device(address, nb_bytes);
    if (all.at == NULL || virtio_read32(&all, REGISTER_MAGIC) != MAGIC ||
        virtio_read32(&all, REGISTER_ID) != ID_NET)
        return NULL;
    *is_there = true;
    if (virtio_read32(&all, REGISTER_VERSION) != VERSION)
        return "the network device offers only legacy virtio-mmio (before version 2); start "
               "microvm "
               "with -global virtio-mmio.force-legacy=false";
    *virtio = (struct virtio){.access = &access,
                              .common = all,
                              .config = {all.at + CONFIG, all.nb_bytes - CONFIG},
                              .line = line};
    return NULL;
}
