/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target: the libraries `pci` and `virtio` (over PCI) with a device whose configuration
 * space and registers are taken from the input. The input is a count of changes, that many pairs of
 * offset and value for the configuration space, and the registers. Every mapping must lie in the
 * device (fake_machine.c), and every search must end.
 */
#include <string.h>

#include "fake_machine.h"
#include "virtio.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes)
{
    struct virtio virtio;
    struct vring ring = {.size = 256};
    uint64_t features;
    uint8_t mac[6];
    size_t nb_changes, nb_registers, at = 1;
    bool is_there;

    if (nb_bytes == 0)
        return 0;
    fake_pci_reset();
    uint8_t *config = fake_pci_network(data[0] % 32);
    for (nb_changes = data[0]; nb_changes > 0 && at + 2 <= nb_bytes; nb_changes--, at += 2) {
        if (data[at] >= 4) /* vendor and device id stay */
            config[data[at]] = data[at + 1];
    }
    nb_registers = nb_bytes - at < FAKE_DEVICE_BYTES ? nb_bytes - at : FAKE_DEVICE_BYTES;
    memcpy(fake_device_memory, data + at, nb_registers);
    if (virtio_pci_find(&virtio, &is_there) != NULL || !is_there)
        return 0;
    (void)virtio_agree(&virtio, UINT64_MAX, &features);
    (void)virtio_config(&virtio, 0, mac, sizeof(mac));
    for (unsigned queue = 0; queue < 2; queue++) {
        (void)virtio_queue_size(&virtio, queue, 1024);
        if (virtio_queue_start(&virtio, queue, &ring) == NULL)
            virtio_kick(&virtio, queue);
    }
    (void)virtio_interrupt(&virtio);
    return 0;
}
