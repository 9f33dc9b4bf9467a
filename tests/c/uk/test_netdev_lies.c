/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netdev with a device that lies: single lies, each with its required result, then all of them at
 * random. Nothing outside netdev's memory is touched, every frame handed out lies within its
 * buffer, and a ring with a protocol violation hands out no more frames; with the next correct
 * device everything works, and no buffer is lost or doubled.
 */
#include <stdlib.h>
#include <string.h>

#include "liar.h"

enum { BURST = 64, START = 65500, SIZE = 256, NB = 8 };

/* ---- single lies ---- */

struct lie {
    const char *name;
    unsigned ring;
    bool breaks;
    void (*tell)(const struct vring *ring);
    uint64_t features;
};

static void move_used(const struct vring *ring, int by)
{
    vring_publish(&ring->used->idx, (uint16_t)(vring_see(&ring->used->idx) + by));
}

static void beyond(const struct vring *ring)
{
    vring_publish(&ring->used->idx, (uint16_t)(vring_see(&ring->avail->idx) + 1));
}

static void far_beyond(const struct vring *ring)
{
    vring_publish(&ring->used->idx, (uint16_t)(vring_see(&ring->avail->idx) + 0x8000));
}

static void by_a_ring(const struct vring *ring)
{
    move_used(ring, SIZE);
}

static void backward(const struct vring *ring)
{
    move_used(ring, -NB - 1);
}

static struct vring_used_elem *last_used(const struct vring *ring)
{
    return &ring->used->ring[(uint16_t)(vring_see(&ring->used->idx) - 1) & (SIZE - 1)];
}

/* The buffer that was returned before the last one. */
static void twice(const struct vring *ring)
{
    uint16_t before = (uint16_t)(vring_see(&ring->used->idx) - 2);

    atomic_store(&last_used(ring)->id, atomic_load(&ring->used->ring[before & (SIZE - 1)].id));
}

/* A buffer that was never offered: of the frames, only NB were. */
static void never_offered(const struct vring *ring)
{
    atomic_store(&last_used(ring)->id, SIZE / 2);
}

/* An id that is right modulo the ring's size. */
static void out_of_range(const struct vring *ring)
{
    atomic_fetch_add(&last_used(ring)->id, 5 * SIZE);
}

static void scribble_descriptors(const struct vring *ring)
{
    memset((void *)ring->desc, 0xff, vring_desc_bytes(ring->size));
}

static void loop(const struct vring *ring)
{
    for (uint16_t i = 0; i < ring->size; i++) {
        atomic_store(&ring->desc[i].flags, VRING_DESC_F_NEXT);
        atomic_store(&ring->desc[i].next, i);
    }
}

static void scribble_avail(const struct vring *ring)
{
    memset((void *)ring->avail, 0xa5, vring_avail_bytes(ring->size));
}

static void scribble_buffers(const struct vring *ring)
{
    (void)ring;
    memset(bed.buffers, 0xff, bed.nb_bytes - (size_t)(bed.buffers - bed.bytes));
}

static void scribble_all(const struct vring *ring)
{
    (void)ring;
    memset(bed.bytes, 0x5a, bed.nb_bytes);
}

#define ANY BED_IN_ORDER
static const struct lie lies[] = {
    {"rooms: beyond the buffers offered", TRANSPORT_RX, true, beyond, ANY},
    {"rooms: far beyond", TRANSPORT_RX, true, far_beyond, ANY},
    {"rooms: by a whole ring", TRANSPORT_RX, true, by_a_ring, ANY},
    {"rooms: backward", TRANSPORT_RX, true, backward, ANY},
    {"frames: beyond the buffers offered", TRANSPORT_TX, true, beyond, ANY},
    {"frames: far beyond", TRANSPORT_TX, true, far_beyond, BED_EVENT_IDX},
    {"frames: by a whole ring", TRANSPORT_TX, true, by_a_ring, ANY},
    {"frames: backward", TRANSPORT_TX, true, backward, ANY},
    {"rooms: one twice", TRANSPORT_RX, true, twice, 0},
    {"rooms: one out of range", TRANSPORT_RX, false, out_of_range, 0},
    {"rooms: one twice, id ignored", TRANSPORT_RX, false, twice, BED_IN_ORDER},
    {"rooms: one out of range, id ignored", TRANSPORT_RX, false, out_of_range, BED_IN_ORDER},
    {"frames: one never offered", TRANSPORT_TX, true, never_offered, 0},
    {"frames: one twice", TRANSPORT_TX, true, twice, BED_EVENT_IDX},
    {"frames: one twice, id ignored", TRANSPORT_TX, false, twice, BED_IN_ORDER},
    {"descriptors written over", TRANSPORT_RX, false, scribble_descriptors, ANY},
    {"descriptors in a loop", TRANSPORT_RX, false, loop, 0},
    {"available ones written over", TRANSPORT_RX, false, scribble_avail, 0},
    {"sent ones written over", TRANSPORT_TX, false, scribble_avail, ANY},
    {"buffers and headers written over", TRANSPORT_RX, false, scribble_buffers, ANY},
    {"all written over", TRANSPORT_RX, true, scribble_all, 0},
};

/* NB frames each: used and not yet received, held, being sent. Those sent were read, too. */
static void begin(uint64_t features)
{
    struct vhost_frame frames[2 * NB];

    netdev_bed_open(SIZE, features, START);
    CHECK(vhost_ring_lend(bed.device[TRANSPORT_RX], &bed.memory, frames, 2 * NB) == 2 * NB);
    for (unsigned i = 0; i < 2 * NB; i++)
        frames[i].len = 60;
    vhost_ring_send(bed.device[TRANSPORT_RX], frames, 2 * NB);
    CHECK(bed_rx_burst(2 * NB) == 2 * NB && bed_tx_burst(NB) == NB);
    CHECK(vhost_ring_lend(bed.device[TRANSPORT_RX], &bed.memory, frames, NB) == NB);
    for (unsigned i = 0; i < NB; i++)
        frames[i].len = 60;
    vhost_ring_send(bed.device[TRANSPORT_RX], frames, NB);
    CHECK(vhost_ring_receive(bed.device[TRANSPORT_TX], &bed.memory, frames, NB) == NB);
    vhost_ring_return(bed.device[TRANSPORT_TX]);
}

static void test_lie(const void *argument)
{
    const struct lie *lie = argument;
    const struct vring *rx = &bed.rings[TRANSPORT_RX];

    begin(lie->features);
    lie->tell(&bed.rings[lie->ring]);
    while (bed_rx_burst(NB) > 0)
        ;
    CHECK(bed.nb_held <= 2 * NB);
    CHECK(bed_tx_burst(1) == !lie->breaks);
    if (lie->breaks) {
        uint64_t nb_kicks = bed.nb_kicks[TRANSPORT_RX] + bed.nb_kicks[TRANSPORT_TX];
        /* The device corrects the index, but too late. */
        vring_publish(&rx->used->idx, vring_see(&rx->avail->idx));
        CHECK(bed_rx_burst(NB) == 0 && bed_tx_burst(1) == 0);
        frames_wait(bed.frames, 1000);
        CHECK(bed.nb_waits == 1 && bed_rx_burst(NB) == 0 && bed_alloc(1) == 1);
        CHECK(bed.nb_kicks[TRANSPORT_RX] + bed.nb_kicks[TRANSPORT_TX] == nb_kicks);
    }
    for (unsigned i = 0; i < 4; i++)
        liar_check_honest((i & 1 ? BED_EVENT_IDX : 0) | (i & 2 ? BED_IN_ORDER : 0), START);
    netdev_bed_close();
}

/* Each length is a frame's, or so long that frames/ drops it; no frame contains stale bytes. */
static void test_lens(const void *argument)
{
    const uint64_t *features = argument;

    netdev_bed_open(SIZE, *features, START);
    for (unsigned i = 0; i < liar_nb_lens; i++) {
        const struct vring *rx = &bed.rings[TRANSPORT_RX];
        uint16_t place = vring_see(&rx->used->idx) & (SIZE - 1);
        uint32_t len = liar_lens[i];
        atomic_store(&rx->used->ring[place].id, atomic_load(&rx->avail->ring[place]));
        atomic_store(&rx->used->ring[place].len, len);
        move_used(rx, 1);
        CHECK(bed_rx_burst(BURST) == 1);
        if (len >= VIRTIO_NET_HEADER_BYTES && len <= VIRTIO_NET_HEADER_BYTES + FRAME_BYTES_MAX)
            CHECK(bed.held[0].len == len - VIRTIO_NET_HEADER_BYTES);
        else
            CHECK(bed.held[0].len > FRAME_BYTES_MAX);
        bed_free_all();
    }
    liar_check_honest(*features, START);
    netdev_bed_close();
}

/* ---- links ---- */

/* A long time down, and down and up again at once; frames and spares from before are freed one by
 * one, on whichever link there is. */
static void test_links(const void *argument)
{
    (void)argument;
    begin(BED_IN_ORDER);
    CHECK(bed_alloc(NB) == NB);
    for (unsigned i = 0; i < 20; i++) {
        unsigned nb_held = bed.nb_held;
        netdev_bed_down();
        /* Within a turn the driver may not have seen it. */
        CHECK(bed_tx_burst(nb_held > 0) <= 1);
        for (unsigned turn = 0; turn < 100; turn++)
            CHECK(bed_rx_burst(BURST) == 0);
        CHECK(bed_tx_burst(bed.nb_held) == 0);
        bed_free(bed.nb_held > 0 && i % 3 == 0);
        frames_wait(bed.frames, 1000);
        netdev_bed_up(i & 1 ? BED_EVENT_IDX : BED_IN_ORDER, (uint16_t)(START + i));
        if (i % 4 != 0)
            CHECK(bed_rx_burst(BURST) == 0);
        else
            bed_free(bed.nb_held > 0); /* the driver has not seen the link */
        CHECK(bed_rx_burst(BURST) == 0);
        bed_free(bed.nb_held > 0 && i % 5 == 0);
    }
    liar_check_honest(BED_IN_ORDER, START);
    netdev_bed_close();
}

/* ---- anything ---- */

struct many {
    uint32_t size;
    uint64_t seed, nb_steps;
};

static void test_many(const void *argument)
{
    const struct many *many = argument;
    struct numbers numbers = {.random = many->seed};

    netdev_bed_open(many->size, BED_IN_ORDER, START);
    for (uint64_t i = 0; i < many->nb_steps; i++) {
        liar_step(&numbers);
        if (i % 500 == 499)
            liar_check_honest((i / 500 & 1 ? BED_EVENT_IDX : 0) | (i / 500 & 2 ? BED_IN_ORDER : 0),
                              (uint16_t)numbers_take(&numbers, 2));
    }
    netdev_bed_close();
}

int main(int argc, char **argv)
{
    static const uint64_t features[] = {0, BED_IN_ORDER};
    const char *is_long = getenv("NEARMETAL_TEST_LONG");
    uint64_t nb_steps = argc > 1 ? strtoull(argv[1], NULL, 10) : 200000;

    if (is_long != NULL && is_long[0] == '1')
        nb_steps *= 20;
    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++)
        netdev_bed_alone(lies[i].name, test_lie, &lies[i]);
    for (unsigned i = 0; i < sizeof(features) / sizeof(features[0]); i++)
        netdev_bed_alone("lengths", test_lens, &features[i]);
    netdev_bed_alone("links", test_links, NULL);
    for (uint32_t size = 64; size <= 1024; size *= 4) {
        struct many many = {size, 1 + size, nb_steps};
        netdev_bed_alone("anything", test_many, &many);
    }
    return 0;
}
