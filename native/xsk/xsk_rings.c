/* SPDX-License-Identifier: BSD-3-Clause */
#include "xsk_rings.h"

#include <string.h>

/* So many returned frames are put into the fill ring together: the kernel reads its index on
 * another core. */
#define FILL_BURST 64u

_Static_assert(FILL_BURST <= XSK_BURST_MAX, "room for a burst beside frames that are kept");

/* Entries between our index and the kernel's; more than the ring has: stop. */
static uint32_t entries_between(struct xsk_rings *rings, const struct xsk_ring *ring,
                                uint32_t produced, uint32_t consumed)
{
    uint32_t nb = produced - consumed;

    if (__builtin_expect(nb <= ring->size, 1))
        return nb;
    rings->stats.nb_bad += rings->broken ? 0 : 1;
    rings->broken = true;
    return 0;
}

/* Entries that the kernel has produced and we have not consumed. */
static uint32_t produced(struct xsk_rings *rings, const struct xsk_ring *ring, uint32_t at)
{
    return rings->broken
               ? 0
               : entries_between(rings, ring,
                                 atomic_load_explicit(ring->producer, memory_order_acquire), at);
}

static void address_put(const struct xsk_ring *ring, uint32_t at, uint32_t frame)
{
    uint64_t address = (uint64_t)frame * XSK_FRAME_BYTES;

    memcpy((uint8_t *)ring->entries + (size_t)(at & (ring->size - 1)) * 8, &address, 8);
}

void xsk_rings_init(struct xsk_rings *rings, const struct xsk_memory *memory)
{
    memset(rings, 0, sizeof(*rings));
    rings->memory = *memory;
    for (uint32_t frame = 0; frame < XSK_RX_FRAMES; frame++) {
        address_put(&memory->fill, rings->fill_at++, frame);
        rings->owners[frame] = XSK_KERNEL;
    }
    /* The last one first, so that they are taken in the order of their addresses. */
    for (uint32_t frame = XSK_FRAMES; frame-- > XSK_RX_FRAMES;)
        rings->free[rings->nb_free++] = frame;
    atomic_store_explicit(memory->fill.producer, rings->fill_at, memory_order_release);
}

/* Give a frame back: to the kernel, for receiving, or to ours. The fill ring has an entry for every
 * frame, so there is always room. */
static void frame_back(struct xsk_rings *rings, uint32_t frame)
{
    if (frame < XSK_RX_FRAMES) {
        rings->owners[frame] = XSK_KERNEL;
        address_put(&rings->memory.fill, rings->fill_at++, frame);
    } else {
        rings->owners[frame] = XSK_FREE;
        rings->free[rings->nb_free++] = frame;
    }
}

static void fill_publish(struct xsk_rings *rings)
{
    atomic_store_explicit(rings->memory.fill.producer, rings->fill_at, memory_order_release);
}

/* Take back the frames that the kernel has sent. */
static void completions_take(struct xsk_rings *rings)
{
    const struct xsk_ring *ring = &rings->memory.completion;
    uint32_t nb = produced(rings, ring, rings->completion_at);

    for (uint32_t i = 0; i < nb; i++) {
        uint32_t at = rings->completion_at++ & (ring->size - 1);
        uint64_t address, frame;

        memcpy(&address, (const uint8_t *)ring->entries + (size_t)at * 8, 8);
        __asm__ volatile("" : "+r"(address)); /* the value that is checked is the value used */
        frame = address / XSK_FRAME_BYTES;
        if (frame < XSK_FRAMES && rings->owners[frame] == XSK_SENDING) {
            rings->nb_sending--;
            frame_back(rings, (uint32_t)frame);
            continue;
        }
        if (address % XSK_FRAME_BYTES != 0 || frame < XSK_RX_FRAMES || frame >= XSK_FRAMES ||
            rings->owners[frame] != XSK_KERNEL) {
            rings->stats.nb_bad++;
            continue;
        }
        rings->owners[frame] = XSK_FREE;
        rings->free[rings->nb_free++] = (uint32_t)frame;
    }
    if (nb > 0)
        atomic_store_explicit(ring->consumer, rings->completion_at, memory_order_release);
}

unsigned xsk_rings_lend(struct xsk_rings *rings, struct xsk_frame *rooms, unsigned nb)
{
    nb = nb < XSK_BURST_MAX ? nb : XSK_BURST_MAX;
    if (rings->nb_lent + rings->nb_free < nb)
        completions_take(rings);
    while (rings->nb_lent < nb && rings->nb_free > 0) {
        uint32_t frame = rings->free[--rings->nb_free];

        rings->owners[frame] = XSK_PORT;
        rings->lent[rings->nb_lent++] = frame;
    }
    nb = rings->broken ? 0 : nb < rings->nb_lent ? nb : rings->nb_lent;
    for (unsigned i = 0; i < nb; i++)
        rooms[i] = (struct xsk_frame){rings->memory.umem + (size_t)rings->lent[i] * XSK_FRAME_BYTES,
                                      XSK_FRAME_BYTES};
    return nb;
}

void xsk_rings_send(struct xsk_rings *rings, const struct xsk_frame *frames, unsigned nb)
{
    const struct xsk_ring *ring = &rings->memory.tx;
    struct xdp_desc *entries = ring->entries;

    /* The ring has an entry for every frame that can be sent, so there is always room. */
    for (unsigned i = 0; i < nb; i++) {
        entries[rings->tx_at++ & (ring->size - 1)] = (struct xdp_desc){
            .addr = (uint64_t)rings->lent[i] * XSK_FRAME_BYTES, .len = frames[i].len};
        rings->owners[rings->lent[i]] = XSK_KERNEL;
    }
    rings->stats.nb_tx += nb;
    rings->nb_lent -= nb;
    memmove(rings->lent, rings->lent + nb, rings->nb_lent * sizeof(rings->lent[0]));
    atomic_store_explicit(ring->producer, rings->tx_at, memory_order_release);
}

unsigned xsk_rings_unsent(struct xsk_rings *rings)
{
    const struct xsk_ring *ring = &rings->memory.tx;

    if (rings->broken || rings->tx_done == rings->tx_at)
        return 0;
    rings->tx_done = atomic_load_explicit(ring->consumer, memory_order_acquire);
    return entries_between(rings, ring, rings->tx_at, rings->tx_done);
}

#define NO_NUMBER UINT32_MAX

/* Check a descriptor. False: it is no frame. *taken: the frame of the kernel's that it names, which
 * is ours now, or NO_NUMBER. */
static bool frame_take(struct xsk_rings *rings, const struct xdp_desc *entry,
                       struct xsk_frame *frame, uint32_t *taken)
{
    struct xdp_desc desc = *entry;
    uint64_t number, offset;

    __asm__ volatile("" : "+m"(desc)); /* the value that is checked is the value used */
    number = desc.addr / XSK_FRAME_BYTES;
    offset = desc.addr % XSK_FRAME_BYTES;
    *taken = NO_NUMBER;
    if (number >= XSK_RX_FRAMES || rings->owners[number] != XSK_KERNEL) {
        rings->stats.nb_bad++;
        return false;
    }
    rings->owners[number] = XSK_PORT;
    *taken = (uint32_t)number;
    if (desc.len > XSK_FRAME_BYTES - offset || desc.options != 0) { /* no parts of frames */
        rings->stats.nb_bad++;
        return false;
    }
    *frame = (struct xsk_frame){rings->memory.umem + desc.addr, desc.len};
    __builtin_prefetch(frame->data);
    __builtin_prefetch(frame->data + (desc.len > 64 ? 64 : 0));
    return true;
}

unsigned xsk_rings_receive(struct xsk_rings *rings, struct xsk_frame *frames, unsigned nb)
{
    const struct xsk_ring *ring = &rings->memory.rx;
    const struct xdp_desc *entries = ring->entries;
    uint32_t there = produced(rings, ring, rings->rx_at), good = 0;
    uint32_t room = 2 * XSK_BURST_MAX - rings->nb_received;

    nb = nb < there ? nb : there;
    nb = nb < room ? nb : room;
    if (nb == 0)
        return 0;
    for (unsigned i = 0; i < nb; i++) {
        uint32_t taken;

        good +=
            frame_take(rings, &entries[rings->rx_at++ & (ring->size - 1)], &frames[good], &taken);
        if (taken != NO_NUMBER)
            rings->received[rings->nb_received++] = taken;
    }
    atomic_store_explicit(ring->consumer, rings->rx_at, memory_order_release);
    rings->stats.nb_rx += good;
    return good;
}

void xsk_rings_return(struct xsk_rings *rings)
{
    const struct xsk_ring *ring = &rings->memory.fill;

    /* The ring has an entry for every frame, so there is always room. */
    if (rings->nb_received < FILL_BURST)
        return;
    for (uint32_t i = 0; i < rings->nb_received; i++) {
        address_put(ring, rings->fill_at++, rings->received[i]);
        rings->owners[rings->received[i]] = XSK_KERNEL;
    }
    rings->nb_received = 0;
    atomic_store_explicit(ring->producer, rings->fill_at, memory_order_release);
}

unsigned xsk_rings_take(struct xsk_rings *rings, struct xsk_frame *frames, unsigned nb)
{
    const struct xsk_ring *ring = &rings->memory.rx;
    const struct xdp_desc *entries = ring->entries;
    uint32_t there = produced(rings, ring, rings->rx_at), good = 0;

    if (rings->nb_sending > 0)
        completions_take(rings);
    nb = nb < there ? nb : there;
    for (unsigned i = 0; i < nb; i++) {
        uint32_t taken;

        if (frame_take(rings, &entries[rings->rx_at++ & (ring->size - 1)], &frames[good], &taken))
            good++;
        else if (taken != NO_NUMBER)
            frame_back(rings, taken);
    }
    if (nb > 0)
        atomic_store_explicit(ring->consumer, rings->rx_at, memory_order_release);
    fill_publish(rings);
    rings->stats.nb_rx += good;
    return good;
}

static uint64_t address_of(const struct xsk_rings *rings, const struct xsk_frame *frame)
{
    return (uint64_t)(frame->data - rings->memory.umem);
}

unsigned xsk_rings_alloc(struct xsk_rings *rings, struct xsk_frame *frames, unsigned nb)
{
    unsigned i = 0;

    for (; i < nb && rings->nb_free > 0; i++) {
        uint32_t frame = rings->free[--rings->nb_free];

        rings->owners[frame] = XSK_PORT;
        frames[i] = (struct xsk_frame){rings->memory.umem + (size_t)frame * XSK_FRAME_BYTES,
                                       XSK_FRAME_BYTES};
    }
    return i;
}

unsigned xsk_rings_forward(struct xsk_rings *rings, const struct xsk_frame *frames, unsigned nb)
{
    const struct xsk_ring *ring = &rings->memory.tx;
    struct xdp_desc *entries = ring->entries;

    /* Each frame needs an entry in the completion ring too, until it was taken back. */
    if (rings->nb_sending + nb > XSK_TX_FRAMES)
        completions_take(rings);
    nb = nb < XSK_TX_FRAMES - rings->nb_sending ? nb : XSK_TX_FRAMES - rings->nb_sending;
    nb = rings->broken ? 0 : nb;
    for (unsigned i = 0; i < nb; i++) {
        uint64_t address = address_of(rings, &frames[i]);

        entries[rings->tx_at++ & (ring->size - 1)] =
            (struct xdp_desc){.addr = address, .len = frames[i].len};
        rings->owners[address / XSK_FRAME_BYTES] = XSK_SENDING;
    }
    rings->nb_sending += nb;
    rings->stats.nb_tx += nb;
    atomic_store_explicit(ring->producer, rings->tx_at, memory_order_release);
    return nb;
}

void xsk_rings_free(struct xsk_rings *rings, const struct xsk_frame *frames, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++)
        frame_back(rings, (uint32_t)(address_of(rings, &frames[i]) / XSK_FRAME_BYTES));
    fill_publish(rings);
}
