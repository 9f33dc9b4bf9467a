/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio: the parts that both transports share; see virtio.h. Sections are of virtio 1.1. */
#include "virtio.h"

/* Device status (2.1). */
#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER 2u
#define STATUS_DRIVER_OK 4u
#define STATUS_FEATURES_OK 8u
#define RESET_LOOKS 1000000u

static void add_status(const struct virtio *virtio, uint8_t bits)
{
    virtio->access->set_status(virtio, virtio->access->status(virtio) | bits);
}

static bool reset(const struct virtio *virtio)
{
    virtio->access->set_status(virtio, 0);
    for (unsigned i = 0; i < RESET_LOOKS; i++) {
        if (virtio->access->status(virtio) == 0)
            return true;
    }
    return false;
}

const char *virtio_agree(const struct virtio *virtio, uint64_t wanted, uint64_t *features)
{
    const struct virtio_access *access = virtio->access;

    if (!reset(virtio))
        return "the network device does not finish its reset";
    add_status(virtio, STATUS_ACKNOWLEDGE);
    add_status(virtio, STATUS_DRIVER);
    *features = access->features(virtio, 0) | (uint64_t)access->features(virtio, 1) << 32;
    *features &= wanted | 1ull << VIRTIO_F_VERSION_1;
    if (!(*features >> VIRTIO_F_VERSION_1 & 1))
        return "the network device offers only legacy virtio (before version 1); give it "
               "disable-legacy=on, or on microvm -global virtio-mmio.force-legacy=false";
    access->set_features(virtio, 0, (uint32_t)*features);
    access->set_features(virtio, 1, (uint32_t)(*features >> 32));
    add_status(virtio, STATUS_FEATURES_OK);
    if (!(access->status(virtio) & STATUS_FEATURES_OK))
        return "the network device requires features that this driver does not have";
    return NULL;
}

uint32_t virtio_queue_size(const struct virtio *virtio, unsigned queue, uint32_t wanted)
{
    uint32_t most = virtio->access->queue_max(virtio, queue), size = wanted;

    while (size > most)
        size /= 2;
    return size;
}

void virtio_driver_ok(const struct virtio *virtio)
{
    add_status(virtio, STATUS_DRIVER_OK);
}

bool virtio_config(const struct virtio *virtio, unsigned offset, uint8_t *to, unsigned nb_bytes)
{
    if (offset > virtio->config.nb_bytes || virtio->config.nb_bytes - offset < nb_bytes)
        return false;
    for (unsigned i = 0; i < nb_bytes; i++)
        to[i] = virtio->config.at[offset + i];
    return true;
}
