/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The libraries `pci` and `virtio` (over PCI) with simulated configuration spaces: valid ones, ones
 * with a known kind of lie, and random ones. An accepted window lies in its BAR; a search ends.
 */
#include <string.h>

#include "../check.h"
#include "fake_machine.h"
#include "virtio.h"

static const uint32_t ids[] = {FAKE_PCI_NETWORK};

static const char *find(struct virtio *virtio, bool *is_there)
{
    return virtio_pci_find(virtio, is_there);
}

static void test_a_device_is_found_where_it_is(void)
{
    for (unsigned slot = 0; slot < 32; slot++) {
        struct pci_device found;
        fake_pci_reset();
        (void)fake_pci_network(slot);
        CHECK(pci_find(&found, ids, 1));
        CHECK(found.bus == 0 && found.slot == slot && found.function == 0);
    }
    struct pci_device found;
    fake_pci_reset();
    CHECK(!pci_find(&found, ids, 1));
}

static void test_behind_a_bridge(void)
{
    struct pci_device found;

    fake_pci_reset();
    uint8_t *bridge = fake_pci_add(0, 3, 0, 0, 0);
    fake_put32(bridge, 0x00, 0x000c1b36);
    bridge[0x0e] = 1;
    bridge[0x19] = 5;
    uint8_t *device = fake_pci_add(5, 0, 4, FAKE_PCI_ADDRESS, FAKE_DEVICE_BYTES);
    fake_put32(device, 0x00, FAKE_PCI_NETWORK);
    CHECK(pci_find(&found, ids, 1) && found.bus == 5);
    bridge[0x19] = 0; /* leads back to bus 0 */
    CHECK(!pci_find(&found, ids, 1));
}

static void test_windows_of_a_sound_device(void)
{
    struct virtio virtio;
    bool is_there;
    unsigned line;

    fake_pci_reset();
    (void)fake_pci_network(2);
    CHECK(find(&virtio, &is_there) == NULL && is_there);
    CHECK(virtio.common.nb_bytes == 0x1000 && virtio.config.nb_bytes == 0x1000);
    CHECK(fake_device_offset(virtio.common.at) == 0x0000);
    CHECK(fake_device_offset(virtio.config.at) == 0x2000);
    CHECK(fake_device_offset(virtio.notify.at) == 0x3000);
    CHECK(virtio.notify_multiplier == 4);
    CHECK(pci_line(virtio.device, &line) && line == 11);
    CHECK(pci_bar(virtio.device, 4).address == FAKE_PCI_ADDRESS);
    CHECK(pci_bar(virtio.device, 4).nb_bytes == FAKE_DEVICE_BYTES);
    CHECK(pci_bar(virtio.device, 0).nb_bytes == 0 && pci_bar(virtio.device, 6).nb_bytes == 0);
}

/* Each single lie makes it a device without registers. */
static void test_lies(void)
{
    static const struct {
        unsigned at;
        uint32_t value;
    } lies[] = {
        {0x84 + 8, 0x3fff},     /* offset not aligned to words */
        {0x84 + 8, 0x3ffc},     /* extends past the BAR */
        {0x84 + 8, 0xfffffffc}, /* wraps */
        {0x84 + 12, 0},         /* too short for its registers */
        {0x84 + 12, 0x34},
        {0x84 + 12, 0xffffffff}, /* longer than the BAR */
        {0x84 + 4, 0},           /* a missing BAR */
        {0x84 + 4, 5},
        {0x84 + 4, 7},
        {0x84 + 4, 0xff},
        {0xc0 + 12, 1}, /* no room for one notification */
        {0x20, 0},      /* no address */
        {0x20, 1},      /* a BAR of I/O ports */
    };

    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct virtio virtio;
        bool is_there;
        fake_pci_reset();
        fake_put32(fake_pci_network(2), lies[i].at, lies[i].value);
        CHECK(find(&virtio, &is_there) != NULL && is_there);
    }
}

static void test_lists_that_do_not_end(void)
{
    struct pci_device device = {.slot = 2};

    fake_pci_reset();
    uint8_t *config = fake_pci_network(2);
    config[0xc0 + 1] = 0x84;
    CHECK(pci_capability(device, 0x77, 0) == 0);
    CHECK(pci_capability(device, 0x09, 0x84) == 0x98);
    config[0x84 + 1] = 0x84;
    CHECK(pci_capability(device, 0x77, 0) == 0);
    config[0x34] = 0x04; /* points into the header */
    CHECK(pci_capability(device, 0x09, 0) == 0);
    config[0x06] = 0; /* no list at all */
    config[0x34] = 0x84;
    CHECK(pci_capability(device, 0x09, 0) == 0);
}

/* Random configuration spaces: the search ends, and windows lie in the device's memory
 * (fake_machine.c checks each mapping). */
static void test_anything(void)
{
    uint64_t random = 1;

    for (unsigned i = 0; i < 20000; i++) {
        struct virtio virtio;
        bool is_there;
        fake_pci_reset();
        uint8_t *config = fake_pci_network(2);
        for (unsigned j = 0; j < 1 + i % 24; j++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            unsigned at = 4 + (random >> 33) % 252;
            config[at] = (uint8_t)(random >> 56);
        }
        if (find(&virtio, &is_there) == NULL && is_there) {
            struct vring ring = {.size = 256};
            (void)virtio_queue_size(&virtio, 0, 1024);
            (void)virtio_queue_start(&virtio, 0, &ring);
            (void)virtio_interrupt(&virtio);
        }
    }
}

static void test_a_notification_stays_inside(void)
{
    struct virtio virtio;
    struct vring ring = {.size = 256};
    bool is_there;

    fake_pci_reset();
    (void)fake_pci_network(2);
    CHECK(find(&virtio, &is_there) == NULL);
    fake_put16(fake_device_memory, 0x1e, 0x03ff); /* queue_notify_off, times 4 */
    CHECK(virtio_queue_start(&virtio, 1, &ring) == NULL);
    virtio_kick(&virtio, 1);
    CHECK(fake_device_memory[0x3ffc] == 1);
    fake_put16(fake_device_memory, 0x1e, 0x0400);
    CHECK(virtio_queue_start(&virtio, 1, &ring) != NULL);
    fake_put16(fake_device_memory, 0x1e, 0xffff);
    CHECK(virtio_queue_start(&virtio, 1, &ring) != NULL);
}

int main(void)
{
    test_a_device_is_found_where_it_is();
    test_behind_a_bridge();
    test_windows_of_a_sound_device();
    test_lies();
    test_lists_that_do_not_end();
    test_anything();
    test_a_notification_stays_inside();
    return 0;
}
