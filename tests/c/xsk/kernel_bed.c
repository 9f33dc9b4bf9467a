/* SPDX-License-Identifier: BSD-3-Clause */
#include "kernel_bed.h"

#include <stdlib.h>
#include <string.h>

#include "../check.h"

#define HEADROOM 256u

static struct xsk_ring ring_begin(struct kernel_ring *ring, uint32_t size, size_t entry_bytes)
{
    memset(ring, 0, sizeof(*ring));
    ring->entries = calloc(size, entry_bytes);
    ring->size = size;
    CHECK(ring->entries != NULL);
    return (struct xsk_ring){.producer = &ring->producer.value,
                             .consumer = &ring->consumer.value,
                             .flags = &ring->flags.value,
                             .entries = ring->entries,
                             .size = size};
}

/* Move a ring's indices on, with its entries, so that they may pass 2^32. */
static void ring_shift(struct kernel_ring *ring, uint32_t begin)
{
    CHECK(begin % ring->size == 0);
    ring->at += begin;
    atomic_fetch_add(&ring->producer.value, begin);
    atomic_fetch_add(&ring->consumer.value, begin);
}

void kernel_begin(struct kernel *kernel, uint32_t begin)
{
    struct xsk_memory memory = {
        .fill = ring_begin(&kernel->fill, XSK_RX_FRAMES, 8),
        .rx = ring_begin(&kernel->rx, XSK_RX_FRAMES, sizeof(struct xdp_desc)),
        .tx = ring_begin(&kernel->tx, XSK_TX_FRAMES, sizeof(struct xdp_desc)),
        .completion = ring_begin(&kernel->completion, XSK_TX_FRAMES, 8),
        .umem = malloc(XSK_UMEM_BYTES)};

    CHECK(memory.umem != NULL);
    kernel->umem = memory.umem;
    xsk_rings_init(&kernel->rings, &memory);
    ring_shift(&kernel->fill, begin);
    ring_shift(&kernel->rx, begin);
    ring_shift(&kernel->tx, begin);
    ring_shift(&kernel->completion, begin);
    kernel->rings.fill_at += begin;
    kernel->rings.rx_at += begin;
    kernel->rings.tx_at += begin;
    kernel->rings.tx_done += begin;
    kernel->rings.completion_at += begin;
}

void kernel_end(struct kernel *kernel)
{
    free(kernel->fill.entries);
    free(kernel->rx.entries);
    free(kernel->tx.entries);
    free(kernel->completion.entries);
    free(kernel->umem);
}

/* The next entry of a ring that the user fills; NULL: there is none. */
static const void *taken(struct kernel_ring *ring, size_t entry_bytes)
{
    if (atomic_load_explicit(&ring->producer.value, memory_order_acquire) == ring->at)
        return NULL;
    return (const uint8_t *)ring->entries + (size_t)(ring->at & (ring->size - 1)) * entry_bytes;
}

static void taken_end(struct kernel_ring *ring)
{
    atomic_store_explicit(&ring->consumer.value, ++ring->at, memory_order_release);
}

bool kernel_take_empty(struct kernel *kernel, uint64_t *address)
{
    const void *entry = taken(&kernel->fill, 8);

    if (entry == NULL)
        return false;
    memcpy(address, entry, 8);
    taken_end(&kernel->fill);
    return true;
}

bool kernel_take_sent(struct kernel *kernel, struct xdp_desc *desc)
{
    const void *entry = taken(&kernel->tx, sizeof(*desc));

    if (entry == NULL)
        return false;
    memcpy(desc, entry, sizeof(*desc));
    taken_end(&kernel->tx);
    return true;
}

static void put(struct kernel_ring *ring, const void *entry, size_t entry_bytes)
{
    memcpy((uint8_t *)ring->entries + (size_t)(ring->at & (ring->size - 1)) * entry_bytes, entry,
           entry_bytes);
    atomic_store_explicit(&ring->producer.value, ++ring->at, memory_order_release);
}

void kernel_put_received(struct kernel *kernel, struct xdp_desc desc)
{
    put(&kernel->rx, &desc, sizeof(desc));
}

void kernel_put_completed(struct kernel *kernel, uint64_t address)
{
    put(&kernel->completion, &address, 8);
}

uint64_t kernel_receive(struct kernel *kernel, uint8_t value, uint32_t len)
{
    uint64_t address;

    CHECK(kernel_take_empty(kernel, &address));
    CHECK(address % XSK_FRAME_BYTES == 0 && address < XSK_UMEM_BYTES);
    memset(kernel->umem + address + HEADROOM, value, len);
    kernel_put_received(kernel, (struct xdp_desc){.addr = address + HEADROOM, .len = len});
    return address;
}
