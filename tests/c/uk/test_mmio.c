/* SPDX-License-Identifier: BSD-3-Clause */
/* The library `virtio` over MMIO, on registers in an array. */
#include <string.h>

#include "../check.h"
#include "fake_machine.h"
#include "virtio.h"

#define ADDRESS 0xfeb00000u
#define NB_BYTES 0x200u

static uint32_t get32(unsigned at)
{
    uint32_t value;

    memcpy(&value, fake_device_memory + at, sizeof(value));
    return value;
}

static void put32(unsigned at, uint32_t value)
{
    fake_put32(fake_device_memory, at, value);
}

static void sound_device(void)
{
    fake_pci_reset();
    put32(0x000, 0x74726976);
    put32(0x004, 2);
    put32(0x008, 1);
    put32(0x034, 256); /* entries of a queue */
    put32(0x010, 1);   /* features, in both halves: VERSION_1 is bit 32 */
    memcpy(fake_device_memory + 0x100, "\x02\0\0\0\0\x07", 6);
}

static const char *find(struct virtio *virtio, bool *is_there)
{
    return virtio_mmio_find(virtio, ADDRESS, NB_BYTES, 12, is_there);
}

static void test_what_is_none(void)
{
    struct virtio virtio;
    bool is_there;

    sound_device();
    CHECK(virtio_mmio_find(&virtio, ADDRESS, 0xff, 12, &is_there) == NULL && !is_there);
    CHECK(virtio_mmio_find(&virtio, ADDRESS + 1, NB_BYTES, 12, &is_there) == NULL && !is_there);
    put32(0x000, 0);
    CHECK(find(&virtio, &is_there) == NULL && !is_there);
    sound_device();
    put32(0x008, 2); /* a disk */
    CHECK(find(&virtio, &is_there) == NULL && !is_there);
    sound_device();
    put32(0x004, 1); /* legacy */
    CHECK(find(&virtio, &is_there) != NULL && is_there);
}

static void test_a_device_is_set_up(void)
{
    static uint8_t memory[64] __attribute__((aligned(64)));
    struct vring ring = {(void *)memory, (void *)(memory + 16), (void *)(memory + 32), 128};
    struct virtio virtio;
    uint64_t features;
    uint8_t mac[6];
    bool is_there;

    sound_device();
    CHECK(find(&virtio, &is_there) == NULL && is_there);
    CHECK(virtio_agree(&virtio, 1ull << VIRTIO_NET_F_MAC, &features) == NULL);
    CHECK(features == 1ull << VIRTIO_F_VERSION_1);
    CHECK(get32(0x070) == (1 | 2 | 8)); /* virtio 3.1.1 */
    CHECK(get32(0x020) == 1 && get32(0x024) == 1);
    CHECK(virtio_queue_size(&virtio, 0, 1024) == 256);
    CHECK(virtio_queue_size(&virtio, 0, 128) == 128);
    CHECK(virtio_queue_start(&virtio, 1, &ring) == NULL);
    CHECK(get32(0x030) == 1 && get32(0x038) == 128 && get32(0x044) == 1);
    CHECK(get32(0x080) == (uint32_t)(uintptr_t)ring.desc);
    CHECK(get32(0x084) == (uint32_t)((uintptr_t)ring.desc >> 32));
    CHECK(get32(0x090) == (uint32_t)(uintptr_t)ring.avail);
    CHECK(get32(0x0a0) == (uint32_t)(uintptr_t)ring.used);
    put32(0x060, 3);
    CHECK(virtio_interrupt(&virtio) && fake_line() == 12 && get32(0x064) == 3);
    virtio_kick(&virtio, 1);
    CHECK(get32(0x050) == 1);
    virtio_driver_ok(&virtio);
    CHECK(get32(0x070) == (1 | 2 | 4 | 8));
    CHECK(virtio_config(&virtio, 0, mac, 6) && mac[5] == 7);
    CHECK(!virtio_config(&virtio, NB_BYTES - 0x100 - 5, mac, 6));
    CHECK(!virtio_config(&virtio, UINT32_MAX, mac, 6));
}

static void test_queues_of_odd_sizes(void)
{
    struct virtio virtio;
    bool is_there;

    sound_device();
    CHECK(find(&virtio, &is_there) == NULL);
    put32(0x034, 0);
    CHECK(virtio_queue_size(&virtio, 0, 1024) == 0);
    put32(0x034, 100); /* not a power of two: the next lower one */
    CHECK(virtio_queue_size(&virtio, 0, 1024) == 64);
    put32(0x034, UINT32_MAX);
    CHECK(virtio_queue_size(&virtio, 0, 1024) == 1024);
    put32(0x010, 0); /* no VERSION_1 */
    CHECK(virtio_agree(&virtio, 0, &(uint64_t){0}) != NULL);
}

int main(void)
{
    test_what_is_none();
    test_a_device_is_set_up();
    test_queues_of_odd_sizes();
    return 0;
}
