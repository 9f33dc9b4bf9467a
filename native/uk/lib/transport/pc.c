/* SPDX-License-Identifier: BSD-3-Clause */
/* transport, on a machine: a virtio network device, with rings and buffers in the machine's own
 * memory. The link never goes down: when a vhost-user back end leaves, QEMU keeps the rings, and
 * continues with them when the back end returns. */
#include "transport.h"

#include "interrupts.h"
#include "memory.h"
#include "netdev_buffers.h"
#include "boot_pc.h"
#include "transport_pc.h"
#include "virtio.h"

#define CONFIG_MAC 0u /* 5.1.4 */
#define MAC_BYTES 6u
#define WANTED (1ull << VIRTIO_NET_F_MAC | 1ull << VIRTIO_F_EVENT_IDX | 1ull << VIRTIO_F_IN_ORDER)
#define WAIT_UNCALLED_NS 100000u /* without interrupts, the longest that a frame waits */

static struct {
    struct virtio virtio;
    uint64_t features;
    struct vring rings[TRANSPORT_RINGS];
} pc;

static const _Atomic uint32_t generation = 1; /* odd: up, for ever */

const char *transport_name(void)
{
    return pc.virtio.access == NULL ? "none" : pc.virtio.access->name;
}

/* Try the devices on the command line (MMIO) first, then search the PCI buses. */
static const char *find(void)
{
    const struct command_line *line = boot_command_line();
    bool is_there = false;
    const char *error = NULL;

    for (unsigned i = 0; i < line->nb_devices && !is_there && error == NULL; i++) {
        const struct mmio_place *place = &line->devices[i];
        error =
            virtio_mmio_find(&pc.virtio, place->address, place->nb_bytes, place->line, &is_there);
    }
    if (!is_there && error == NULL)
        error = virtio_pci_find(&pc.virtio, &is_there);
    return error != NULL || is_there
               ? error
               : "the machine has no virtio network device (QEMU: -device virtio-net-pci, or "
                 "virtio-net-device on microvm)";
}

static size_t align(size_t bytes, size_t to)
{
    return (bytes + to - 1) / to * to;
}

/* Allocate a ring in one piece of memory, each area on cache lines of its own. The two rings may
 * differ in size: a tap device's transmit queue has 256 entries. */
static const char *open_ring(unsigned queue)
{
    uint32_t size = virtio_queue_size(&pc.virtio, queue, NETDEV_RING_MAX);
    size_t desc = align(vring_desc_bytes(size), VRING_ALIGN_BYTES);
    size_t avail = align(vring_avail_bytes(size), VRING_ALIGN_BYTES);
    uint8_t *at;

    if (size == 0)
        return "the network device has no queue pair";
    at = memory_take_zeroed(desc + avail + vring_used_bytes(size), VHOST_LAYOUT_PAGE_BYTES);
    if (at == NULL)
        return "the machine has too little memory for its network device's rings";
    pc.rings[queue] = (struct vring){.desc = (void *)at,
                                     .avail = (void *)(at + desc),
                                     .used = (void *)(at + desc + avail),
                                     .size = size};
    return virtio_queue_start(&pc.virtio, queue, &pc.rings[queue]);
}

static const char *open_device(uint8_t mac[6])
{
    const char *error = find();

    if (error == NULL)
        error = virtio_agree(&pc.virtio, WANTED, &pc.features);
    if (error != NULL)
        return error;
    if (!(pc.features >> VIRTIO_NET_F_MAC & 1) ||
        !virtio_config(&pc.virtio, CONFIG_MAC, mac, MAC_BYTES))
        return "the network device has no MAC address (VIRTIO_NET_F_MAC)";
    (void)virtio_interrupt(&pc.virtio);
    for (unsigned i = 0; i < TRANSPORT_RINGS && error == NULL; i++)
        error = open_ring(i);
    return error;
}

const char *transport_open(struct transport *transport)
{
    uint8_t mac[MAC_BYTES];
    const char *error = open_device(mac);

    if (error != NULL)
        return error;
    uint32_t size = pc.rings[TRANSPORT_RX].size, other = pc.rings[TRANSPORT_TX].size;
    size = size > other ? size : other;
    size_t buffers_bytes = (size_t)(size + NETDEV_SPARES) * NETDEV_STRIDE_BYTES;
    uint8_t *buffers = memory_take(buffers_bytes, VHOST_LAYOUT_PAGE_BYTES);
    if (buffers == NULL)
        return "the machine has too little memory for frames; give it more, or a smaller --memory";
    *transport = (struct transport){.generation = &generation,
                                    .buffers = buffers,
                                    .buffers_device = (uint64_t)buffers,
                                    .buffers_bytes = buffers_bytes,
                                    .ring_size = size};
    __builtin_memcpy(transport->mac, mac, sizeof(transport->mac));
    virtio_driver_ok(&pc.virtio);
    return NULL;
}

void transport_begin(struct transport_link *link)
{
    *link = (struct transport_link){.up = true, .generation = generation, .features = pc.features};
    for (unsigned i = 0; i < TRANSPORT_RINGS; i++)
        link->rings[i] = pc.rings[i];
}

void transport_kick(unsigned ring)
{
    virtio_kick(&pc.virtio, ring);
}

bool transport_wait(uint64_t ns)
{
    bool is_called = pc.virtio.has_interrupt;

    interrupts_sleep(is_called || ns < WAIT_UNCALLED_NS ? ns : WAIT_UNCALLED_NS);
    return is_called;
}

uint64_t transport_syscalls(void)
{
    return 0;
}
