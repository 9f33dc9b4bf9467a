/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio over PCI (virtio 1.1, 4.1): vendor-specific capabilities say where the registers lie. */
#include "interrupts.h"
#include "memory.h"
#include "virtio.h"

#define ID_NET 0x10411af4u          /* 4.1.2 */
#define ID_TRANSITIONAL 0x10001af4u /* has the same registers beside the legacy ones */
#define CAPABILITY_VENDOR 0x09u

/* Types of a capability (4.1.4), and the offsets of its fields. */
enum { KIND_COMMON = 1, KIND_NOTIFY = 2, KIND_ISR = 3, KIND_DEVICE = 4 };
#define CAPABILITIES_MAX 32u /* limit of the walk: a list may be a loop */
#define CAPABILITY_BYTES 16u
#define CAPABILITY_NOTIFY_BYTES 20u
#define FIELD_BAR 4u
#define FIELD_OFFSET 8u
#define FIELD_LENGTH 12u
#define FIELD_MULTIPLIER 16u

/* The common configuration (4.1.4.3). */
enum {
    FEATURES_SELECT = 0x00,
    FEATURES = 0x04,
    DRIVER_FEATURES_SELECT = 0x08,
    DRIVER_FEATURES = 0x0c,
    STATUS = 0x14,
    QUEUE_SELECT = 0x16,
    QUEUE_SIZE = 0x18,
    QUEUE_ENABLE = 0x1c,
    QUEUE_NOTIFY = 0x1e,
    QUEUE_DESC = 0x20,
    QUEUE_DRIVER = 0x28,
    QUEUE_DEVICE = 0x30,
    COMMON_BYTES = 0x38
};

static uint8_t status(const struct virtio *virtio)
{
    return virtio->common.at[STATUS];
}

static void set_status(const struct virtio *virtio, uint8_t value)
{
    virtio->common.at[STATUS] = value;
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
    virtio_write16(&virtio->common, QUEUE_SELECT, (uint16_t)queue);
    return virtio_read16(&virtio->common, QUEUE_SIZE);
}

static const char *queue_start(struct virtio *virtio, unsigned queue, const struct vring *ring)
{
    const struct virtio_window *common = &virtio->common;
    virtio_write16(common, QUEUE_SELECT, (uint16_t)queue);
    virtio_write16(common, QUEUE_SIZE, (uint16_t)ring->size);
    virtio_write_address(common, QUEUE_DESC, ring->desc);
    virtio_write_address(common, QUEUE_DRIVER, ring->avail);
    virtio_write_address(common, QUEUE_DEVICE, ring->used);
    uint64_t at = (uint64_t)virtio_read16(common, QUEUE_NOTIFY) * virtio->notify_multiplier;
    if (at + sizeof(uint16_t) > virtio->notify.nb_bytes || at % sizeof(uint16_t) != 0)
        return "the network device places a queue's notify address outside its registers";
    virtio->bells[queue] = (struct virtio_window){virtio->notify.at + at, sizeof(uint16_t)};
    virtio_write16(common, QUEUE_ENABLE, 1);
    return NULL;
}

/* Map the window of the first valid capability of this kind. *capability: its offset. nb_bytes 0:
 * there is none. */
static struct virtio_window window_of(struct pci_device device, unsigned kind, uint32_t nb_least,
                                      unsigned *capability)
{
    unsigned at = 0, nb = kind == KIND_NOTIFY ? CAPABILITY_NOTIFY_BYTES : CAPABILITY_BYTES;

    for (unsigned i = 0; i < CAPABILITIES_MAX; i++) {
        at = pci_capability(device, CAPABILITY_VENDOR, at);
        if (at == 0)
            break;
        uint32_t head = pci_read(device, at);
        if (head >> 24 != kind || (head >> 16 & 0xff) < nb || at > PCI_CONFIG_BYTES - nb)
            continue;
        uint32_t offset = pci_read(device, at + FIELD_OFFSET);
        uint32_t nb_bytes = pci_read(device, at + FIELD_LENGTH);
        struct pci_bar bar = pci_bar(device, pci_read(device, at + FIELD_BAR) & 0xff);
        if (nb_bytes < nb_least || offset % 4 != 0 || bar.nb_bytes < nb_bytes ||
            offset > bar.nb_bytes - nb_bytes)
            continue;
        uint8_t *window = memory_device(bar.address + offset, nb_bytes);
        *capability = at;
        return (struct virtio_window){window, window == NULL ? 0 : nb_bytes};
    }
    return (struct virtio_window){0};
}

static struct virtio_window isr;

/* Reading the ISR status lowers the line (4.1.4.5). */
static void on_interrupt(void)
{
    (void)*isr.at;
}

/* Use the interrupt line, not a message (MSI-X): QEMU 7.2 without KVM crashes on MSI-X in front of
 * a vhost-user back end. */
static bool interrupt(struct virtio *virtio)
{
    unsigned capability, line;

    isr = window_of(virtio->device, KIND_ISR, 1, &capability);
    if (isr.nb_bytes == 0 || !pci_line(virtio->device, &line))
        return false;
    interrupts_line(line, INTERRUPT_LEVEL, INTERRUPT_NETWORK, on_interrupt);
    return true;
}

static void kick(const struct virtio *virtio, unsigned queue)
{
    virtio_write16(&virtio->bells[queue], 0, (uint16_t)queue);
}

const char *virtio_pci_find(struct virtio *virtio, bool *is_there)
{
    static const uint32_t ids[] = {ID_NET, ID_TRANSITIONAL};
    static const struct virtio_access access = {
        "pci", status, set_status, features, set_features, queue_max, queue_start, interrupt, kick};
    unsigned common, notify, config;

    *virtio = (struct virtio){.access = &access};
    *is_there = pci_find(&virtio->device, ids, sizeof(ids) / sizeof(ids[0]));
    if (!*is_there)
        return NULL;
    virtio->common = window_of(virtio->device, KIND_COMMON, COMMON_BYTES, &common);
    virtio->notify = window_of(virtio->device, KIND_NOTIFY, sizeof(uint16_t), &notify);
    virtio->config = window_of(virtio->device, KIND_DEVICE, 1, &config);
    if (virtio->common.nb_bytes == 0 || virtio->notify.nb_bytes == 0)
        return "the network device has no registers of virtio version 1 (disable-modern=off), or "
               "the firmware has not placed them";
    virtio->notify_multiplier = pci_read(virtio->device, notify + FIELD_MULTIPLIER);
    pci_enable(virtio->device);
    return NULL;
}
