/* SPDX-License-Identifier: BSD-3-Clause */
/* A device that lies: see liar.h. */
#include <string.h>

#include "liar.h"

enum { BURST = 64, HELD_MAX = 2 * BURST /* frames/udp.c's */ };

const uint32_t liar_lens[] = {
    0, 11, 12, 13, 25, 26, 60, 1526, 1527, 65535, 1u << 31, UINT32_MAX - 1, UINT32_MAX};
const unsigned liar_nb_lens = sizeof(liar_lens) / sizeof(liar_lens[0]);

uint64_t numbers_take(struct numbers *numbers, unsigned nb_bytes)
{
    uint64_t value = 0;

    for (; nb_bytes > 0; nb_bytes--) {
        numbers->random = numbers->random * 6364136223846793005u + 1442695040888963407u;
        uint8_t byte = (uint8_t)(numbers->random >> 56);
        if (numbers->at != NULL)
            byte = numbers->at < numbers->end ? *numbers->at++ : 0;
        value = value << 8 | byte;
    }
    return value;
}

static unsigned below(struct numbers *numbers, unsigned limit)
{
    return (unsigned)(numbers_take(numbers, 2) % limit);
}

static bool is_up(void)
{
    return atomic_load(&bed.generation) & 1;
}

/* ---- the caller ---- */

/* Write to the whole frame: the caller may, for any length. */
static void touch(unsigned from)
{
    for (unsigned i = from; i < bed.nb_held; i++) {
        volatile uint8_t *data = bed.held[i].data;
        for (unsigned at = 0; at < FRAME_BYTES_MAX; at += 61)
            data[at] = (uint8_t)(data[at] + 1);
        data[FRAME_BYTES_MAX - 1] = 1;
        if (bed.held[i].len - 14 > FRAME_BYTES_MAX - 14)
            bed.held[i].len = 60; /* frames/ drops such a length */
    }
}

static void caller_step(struct numbers *numbers)
{
    unsigned nb = below(numbers, BURST + 1), before = bed.nb_held;

    switch (numbers_take(numbers, 1) % 8) {
    case 0:
        if (before + nb <= HELD_MAX)
            bed_alloc(nb);
        break;
    case 1:
    case 2:
        bed_tx_burst(nb < before ? nb : before);
        return;
    case 3:
        bed_free(nb < before ? nb : before);
        return;
    case 4:
        frames_wait(bed.frames, 1000);
        return;
    default:
        if (before + nb <= HELD_MAX)
            bed_rx_burst(nb);
    }
    touch(before);
}

/* ---- the device ---- */

/* Return the next buffers correctly, except for the length. */
static void give_back(struct numbers *numbers, const struct vring *ring)
{
    uint16_t used = vring_see(&ring->used->idx);
    uint16_t ready = (uint16_t)(vring_see(&ring->avail->idx) - used);
    unsigned nb = below(numbers, BURST);

    for (; nb > 0 && ready > 0 && ready <= ring->size; nb--, ready--, used++) {
        uint16_t place = used & (ring->size - 1);
        atomic_store(&ring->used->ring[place].id, atomic_load(&ring->avail->ring[place]));
        atomic_store(&ring->used->ring[place].len, liar_lens[below(numbers, liar_nb_lens)]);
    }
    vring_publish(&ring->used->idx, used);
}

static void lie_in_used(struct numbers *numbers, const struct vring *ring)
{
    uint16_t place = (uint16_t)below(numbers, ring->size);

    switch (numbers_take(numbers, 1) % 8) {
    case 0:
        vring_publish(&ring->used->idx, (uint16_t)numbers_take(numbers, 2));
        break;
    case 1: /* a little forward or back */
        vring_publish(&ring->used->idx,
                      (uint16_t)(vring_see(&ring->used->idx) + (int8_t)numbers_take(numbers, 1)));
        break;
    case 2:
        vring_publish(&ring->used->idx, vring_see(&ring->avail->idx));
        break;
    case 3:
        atomic_store(&ring->used->flags, (uint16_t)numbers_take(numbers, 2));
        atomic_store(vring_avail_event(ring), (uint16_t)numbers_take(numbers, 2));
        break;
    case 4:
        atomic_store(&ring->used->ring[place].id, (uint32_t)numbers_take(numbers, 4));
        break;
    default:
        atomic_store(&ring->used->ring[place].id, below(numbers, ring->size));
        atomic_store(&ring->used->ring[place].len, liar_lens[below(numbers, liar_nb_lens)]);
    }
}

static void lie_in_avail(struct numbers *numbers, const struct vring *ring)
{
    uint16_t number = (uint16_t)numbers_take(numbers, 2);

    switch (numbers_take(numbers, 1) % 4) {
    case 0:
        vring_publish(&ring->avail->idx, number);
        break;
    case 1:
        atomic_store(&ring->avail->flags, number);
        break;
    case 2:
        atomic_store(vring_used_event(ring), number);
        break;
    default:
        atomic_store(&ring->avail->ring[below(numbers, ring->size)], number);
    }
}

/* Change a descriptor; loops are possible. */
static void lie_in_descriptor(struct numbers *numbers, const struct vring *ring)
{
    struct vring_desc *desc = &ring->desc[below(numbers, ring->size)];

    atomic_store(&desc->addr, numbers_take(numbers, 8));
    atomic_store(&desc->len, (uint32_t)numbers_take(numbers, 4));
    atomic_store(&desc->flags, (uint16_t)numbers_take(numbers, 2));
    atomic_store(&desc->next, (uint16_t)numbers_take(numbers, 2));
}

/* Overwrite a whole buffer, its header included; now and then all rings. */
static void scribble(struct numbers *numbers)
{
    int byte = (int)numbers_take(numbers, 1);

    if (numbers_take(numbers, 1) == 0)
        memset(bed.bytes, byte, (size_t)(bed.buffers - bed.bytes));
    else
        memset(bed.buffers + (size_t)below(numbers, bed.size + BED_NB_SPARES) * BED_BUFFER_BYTES,
               byte, BED_BUFFER_BYTES);
}

static void device_step(struct numbers *numbers)
{
    unsigned what = (unsigned)numbers_take(numbers, 1);
    const struct vring *ring = &bed.rings[what & 1];

    switch (what >> 1 & 7) {
    case 0:
        lie_in_used(numbers, ring);
        break;
    case 1:
        lie_in_avail(numbers, ring);
        break;
    case 2:
        lie_in_descriptor(numbers, ring);
        break;
    case 3:
        scribble(numbers);
        break;
    default:
        give_back(numbers, ring);
    }
}

/* ---- links ---- */

static void link_step(struct numbers *numbers)
{
    uint64_t features = (numbers_take(numbers, 1) & 1 ? BED_IN_ORDER : 0) |
                        (numbers_take(numbers, 1) & 1 ? BED_EVENT_IDX : 0);

    if (is_up())
        netdev_bed_down();
    else if (bed.seen == atomic_load(&bed.generation))
        netdev_bed_up(features, (uint16_t)numbers_take(numbers, 2));
}

void liar_step(struct numbers *numbers)
{
    unsigned what = (unsigned)numbers_take(numbers, 1);

    if (what < 3)
        link_step(numbers);
    else if (what & 1)
        caller_step(numbers);
    else
        device_step(numbers);
}

/* ---- an honest device ---- */

static unsigned honest_send(unsigned nb, uint64_t first)
{
    struct vhost_frame rooms[BURST];
    struct vhost_ring *ring = bed.device[TRANSPORT_RX];

    nb = vhost_ring_lend(ring, &bed.memory, rooms, nb);
    for (unsigned i = 0; i < nb; i++) {
        uint64_t number = first + i;
        CHECK(!bed_is_held(rooms[i].data));
        memcpy(rooms[i].data + 52, &number, sizeof(number));
        rooms[i].len = 60;
    }
    vhost_ring_send(ring, rooms, nb);
    return nb;
}

/* Write the headers again: another device has written over them. */
static unsigned honest_receive(uint64_t first)
{
    static const struct virtio_net_header plain;
    struct vhost_frame frames[BURST];
    struct vhost_ring *ring = bed.device[TRANSPORT_TX];
    unsigned nb = vhost_ring_receive(ring, &bed.memory, frames, BURST);

    for (unsigned i = 0; i < nb; i++) {
        uint64_t number;
        memcpy(&number, frames[i].data + 52, sizeof(number));
        CHECK(frames[i].len == 60 && number == first + i && !bed_is_held(frames[i].data));
        CHECK(memcmp(frames[i].data - VIRTIO_NET_HEADER_BYTES, &plain,
                     offsetof(struct virtio_net_header, nb_buffers)) == 0);
    }
    vhost_ring_return(ring);
    return nb;
}

/* Send to the spare frames first, then echo the frames sent. */
static void check_echo(void)
{
    uint64_t nb_wanted = bed.size * 3, nb_sent = 0, nb_received = 0, number = 0;

    for (bed_alloc(BURST); number < bed.nb_held; number++) {
        bed.held[number].len = 60;
        memcpy(bed.held[number].data + 52, &number, sizeof(number));
    }
    nb_sent = number;
    for (unsigned turn = 0; nb_received < nb_wanted; turn++) {
        CHECK(turn < nb_wanted);
        CHECK(bed_tx_burst(bed.nb_held) > 0 || nb_received == nb_sent);
        CHECK(bed.nb_held == 0);
        nb_received += honest_receive(nb_received);
        nb_sent += honest_send(BURST, nb_sent);
        bed_rx_burst(BURST);
    }
    bed_free_all();
    while (honest_receive(nb_received) > 0)
        CHECK(false);
}

void liar_check_honest(uint64_t features, uint16_t start)
{
    if (is_up())
        netdev_bed_down();
    bed_free(bed.nb_held < BURST ? 0
                                 : bed.nb_held - BURST); /* that many may be a caller's spares */
    CHECK(bed_rx_burst(1) == 0);
    netdev_bed_up(features, start);
    CHECK(bed_rx_burst(1) == 0);
    bed_free_all();
    check_echo();
    bed_check_none_lost();
    for (unsigned i = 0; i < TRANSPORT_RINGS; i++)
        CHECK(!bed.device[i]->broken && bed.device[i]->nb_bad_descriptor == 0);
}
