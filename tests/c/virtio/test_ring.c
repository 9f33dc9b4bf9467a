/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The allowed and the forbidden content of a ring: chains are followed, in any number of parts; a
 * chain that points outside, loops or has an impossible length is dropped, counted and returned,
 * and the frame behind it still arrives. AddressSanitizer checks that no other memory is touched.
 */
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "asleep.h"
#include "../check.h"
#include "memory_bed.h"

enum { SIZE = 256, FRAME = 100 };

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE

struct part {
    int64_t addr; /* offset from the memory's beginning */
    uint32_t len;
    uint16_t flags, next;
};

static void fill(uint8_t *at, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++)
        at[i] = (uint8_t)(i * 7 + 1);
}

static bool filled(const uint8_t *at, unsigned nb)
{
    uint8_t right[2048];

    fill(right, nb);
    return memcmp(at, right, nb) == 0;
}

/* Fill descriptors 0 to nb - 1, make the chain at 0 available, and a valid one behind it. */
static void offer(struct bed *bed, unsigned ring, const struct part *parts, unsigned nb)
{
    for (uint16_t i = 0; i < nb; i++)
        bed_describe(bed, ring, i, BED_GUEST + (uint64_t)parts[i].addr, parts[i].len,
                     parts[i].flags, parts[i].next);
    bed_offer(bed, ring, 0);
    fill(bed_buffer(bed, 200) + VIRTIO_NET_HEADER_BYTES, FRAME);
    bed_describe(bed, ring, 200, bed_guest(bed, 200),
                 ring == BED_ROOMS ? BED_BUFFER_BYTES : FRAME + VIRTIO_NET_HEADER_BYTES,
                 ring == BED_ROOMS ? WRITE : 0, 0);
    bed_offer(bed, ring, 200);
}

/* Check that the first is dropped, the second is received, and both are returned. */
static void check_dropped(unsigned ring, const struct part *parts, unsigned nb)
{
    static struct bed bed;
    struct vhost_frame got[4];
    struct vhost_ring *device;

    bed_open(&bed, SIZE, 0, false, false);
    device = bed.device[ring];
    offer(&bed, ring, parts, nb);
    if (ring == BED_FRAMES) {
        CHECK(vhost_ring_receive(device, &bed.memory, got, 4) == 1);
        CHECK(got[0].len == FRAME && filled(got[0].data, FRAME));
        vhost_ring_return(device);
    } else {
        CHECK(vhost_ring_lend(device, &bed.memory, got, 4) == 1);
        CHECK(got[0].data == bed_buffer(&bed, 200) + VIRTIO_NET_HEADER_BYTES);
        got[0].len = FRAME;
        vhost_ring_send(device, got, 1);
    }
    CHECK(device->nb_bad_descriptor == 1 && device->nb_frames == 1 && !device->broken);
    uint32_t len;
    CHECK(vring_driver_used(&bed.driver[ring]) == 2);
    CHECK(vring_driver_take(&bed.driver[ring], &len) == 0 && len == 0);
    CHECK(vring_driver_take(&bed.driver[ring], &len) == 200);
    CHECK(len == (ring == BED_ROOMS ? FRAME + VIRTIO_NET_HEADER_BYTES : 0));
    bed_close(&bed);
}

static void test_single_descriptors(void)
{
    struct bed bed;
    bed_open(&bed, SIZE, 0, false, false);
    int64_t end = (int64_t)bed.nb_bytes, in = (int64_t)bed.buffers;
    bed_close(&bed);
    const struct part frames[] = {
        {-1, 100, 0, 0},
        {end, 100, 0, 0},
        {end - 99, 100, 0, 0},
        {-(int64_t)BED_GUEST, 100, 0, 0},
        {INT64_MIN, 100, 0, 0},
        {in, 0, 0, 0},
        {in, 12, 0, 0},
        {in, 25, 0, 0},
        {in, 12 + 1519, 0, 0},
        {in, UINT32_MAX, 0, 0},
        {end, 0, 0, 0},
        {in, 100, WRITE, 0},
        {in, 100, VRING_DESC_F_INDIRECT, 0},
        {-40, 100, 0, 0},
        {end, UINT32_MAX, 0, 0},
    };
    const struct part rooms[] = {
        {-1, 1536, WRITE, 0},       {end - 1535, 1536, WRITE, 0},
        {in, 1525, WRITE, 0},       {in, 0, WRITE, 0},
        {in, UINT32_MAX, WRITE, 0}, {in, 1536, 0, 0},
        {end, 0, WRITE, 0},         {in, 1536, WRITE | VRING_DESC_F_INDIRECT, 0},
    };
    for (unsigned i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
        check_dropped(BED_FRAMES, &frames[i], 1);
    for (unsigned i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++)
        check_dropped(BED_ROOMS, &rooms[i], 1);
}

static void test_bad_chains(void)
{
    struct bed bed;
    bed_open(&bed, SIZE, 0, false, false);
    int64_t end = (int64_t)bed.nb_bytes, in = (int64_t)bed.buffers;
    bed_close(&bed);
    const struct part itself[] = {{in, 100, NEXT, 0}};
    const struct part itself_empty[] = {{in, 0, NEXT, 0}};
    const struct part two[] = {{in, 10, NEXT, 1}, {in, 10, NEXT, 0}};
    const struct part outside[] = {{in, 10, NEXT, SIZE}};
    const struct part far[] = {{in, 10, NEXT, 65535}};
    const struct part empty_outside[] = {{in, 112, NEXT, 1}, {end, 0, 0, 0}};
    const struct part mixed[] = {{in, 12, NEXT, 1}, {in + 12, 1524, WRITE, 0}};
    const struct part too_long[] = {{in, 1000, NEXT, 1}, {in, 1000, 0, 0}};
    const struct part overflow[] = {{in, 1500, NEXT | WRITE, 1}, {in, UINT32_MAX, WRITE, 0}};
    struct part many[66];
    for (uint16_t i = 0; i < 66; i++)
        many[i] = (struct part){in + i, 2, i < 65 ? NEXT : 0, (uint16_t)(i + 1)};
    check_dropped(BED_FRAMES, itself, 1);
    check_dropped(BED_FRAMES, itself_empty, 1);
    check_dropped(BED_FRAMES, two, 2);
    check_dropped(BED_FRAMES, outside, 1);
    check_dropped(BED_FRAMES, far, 1);
    check_dropped(BED_FRAMES, empty_outside, 2);
    check_dropped(BED_FRAMES, mixed, 2);
    check_dropped(BED_FRAMES, too_long, 2);
    check_dropped(BED_FRAMES, many, 66);
    check_dropped(BED_ROOMS, overflow, 2);
}

/* A frame of FRAME bytes with its header, divided into descriptors at `cuts`; the last cut is its
 * end. */
static void check_cut(const uint32_t *cuts, unsigned nb)
{
    static struct bed bed;
    struct vhost_frame got[4];
    uint8_t packet[VIRTIO_NET_HEADER_BYTES + FRAME] = {0};
    uint32_t from = 0, room_from = 0;

    bed_open(&bed, SIZE, 0, true, false);
    fill(packet + VIRTIO_NET_HEADER_BYTES, FRAME);
    for (uint16_t i = 0; i < nb; i++) {
        uint16_t more = i + 1u < nb ? NEXT : 0;
        uint32_t room = (i + 1u < nb ? cuts[i] : BED_BUFFER_BYTES) - room_from;
        memcpy(bed_buffer(&bed, i), packet + from, cuts[i] - from);
        bed_describe(&bed, BED_FRAMES, i, bed_guest(&bed, i), cuts[i] - from, more,
                     (uint16_t)(i + 1));
        bed_describe(&bed, BED_ROOMS, i, bed_guest(&bed, (uint16_t)(i + 100)), room, more | WRITE,
                     (uint16_t)(i + 1));
        from = room_from = cuts[i];
    }
    bed_offer(&bed, BED_FRAMES, 0);
    bed_offer(&bed, BED_ROOMS, 0);
    CHECK(vhost_ring_receive(bed.device[BED_FRAMES], &bed.memory, got, 4) == 1);
    CHECK(got[0].len == FRAME && filled(got[0].data, FRAME));
    vhost_ring_return(bed.device[BED_FRAMES]);
    CHECK(vhost_ring_lend(bed.device[BED_ROOMS], &bed.memory, got, 4) == 1);
    CHECK(got[0].len >= 1514 && got[0].len <= VHOST_FRAME_BYTES_MAX);
    fill(got[0].data, FRAME);
    got[0].len = FRAME;
    vhost_ring_send(bed.device[BED_ROOMS], got, 1);
    packet[10] = 1; /* nb_buffers */
    for (uint16_t i = 0; i < nb; i++) {
        from = i == 0 ? 0 : cuts[i - 1];
        CHECK(memcmp(bed_buffer(&bed, (uint16_t)(i + 100)), packet + from, cuts[i] - from) == 0);
    }
    for (unsigned i = 0; i < BED_RINGS; i++)
        CHECK(vring_driver_used(&bed.driver[i]) == 1 && bed.device[i]->nb_bad_descriptor == 0);
    bed_close(&bed);
}

static void test_good_chains(void)
{
    check_cut((const uint32_t[]){12, 112}, 2);
    check_cut((const uint32_t[]){5, 112}, 2);
    check_cut((const uint32_t[]){5, 8, 40, 112}, 4);
    check_cut((const uint32_t[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 112}, 14);
    check_cut((const uint32_t[]){50, 50, 112}, 3); /* an empty part is allowed */
}

/* More chains than there are bounce buffers: the rest waits until the first are returned. */
static void test_many_chains(void)
{
    static struct bed bed;
    struct vhost_frame got[512];
    unsigned nb = 0;

    bed_open(&bed, 1024, 65500, false, false);
    for (uint16_t i = 0; i < 1024; i += 2) {
        bed_describe(&bed, BED_FRAMES, i, bed_guest(&bed, i), 12, NEXT, (uint16_t)(i + 1));
        bed_describe(&bed, BED_FRAMES, (uint16_t)(i + 1), bed_guest(&bed, (uint16_t)(i + 1)), 60, 0,
                     0);
        memcpy(bed_buffer(&bed, (uint16_t)(i + 1)), &i, sizeof(i));
        bed_offer(&bed, BED_FRAMES, i);
    }
    while (nb < 512) {
        unsigned got_now = vhost_ring_receive(bed.device[BED_FRAMES], &bed.memory, got, 512);
        CHECK(got_now > 0 && got_now <= VHOST_CHAINS_MAX);
        for (unsigned i = 0; i < got_now; i++, nb++) {
            uint16_t number;
            memcpy(&number, got[i].data, sizeof(number));
            CHECK(number == 2 * nb);
        }
        /* Until they are returned, no more are received. */
        CHECK(got_now < VHOST_CHAINS_MAX ||
              vhost_ring_receive(bed.device[BED_FRAMES], &bed.memory, got + got_now, 64) == 0);
        vhost_ring_return(bed.device[BED_FRAMES]);
    }
    bed_close(&bed);
}

/* Impossible indices: nothing moves until the ring is started again. */
static void check_broken(unsigned ring, uint16_t head, uint16_t jump)
{
    static struct bed bed;
    struct vhost_frame got[4];
    struct vhost_ring *device;

    bed_open(&bed, SIZE, 65500, false, false);
    device = bed.device[ring];
    bed_offer(&bed, ring, head);
    vring_publish(&bed.driver[ring].ring.avail->idx, (uint16_t)(65500 + jump));
    for (unsigned i = 0; i < 3; i++) {
        CHECK(vhost_ring_lend(device, &bed.memory, got, 4) == 0);
        vhost_ring_send(device, got, 0);
        CHECK(vhost_ring_receive(device, &bed.memory, got, 4) == 0);
        vhost_ring_return(device);
    }
    CHECK(device->broken && device->nb_bad_index == 1 && device->nb_frames == 0);
    CHECK(vring_see(&bed.driver[ring].ring.used->idx) == 65500);
    bed_close(&bed);
}

static void test_indices(void)
{
    for (unsigned ring = 0; ring < BED_RINGS; ring++) {
        check_broken(ring, SIZE, 1);
        check_broken(ring, 65535, 1);
        check_broken(ring, 0, SIZE + 1);
        check_broken(ring, 0, 65535);
        check_broken(ring, 0, 32768);
    }
}

/* The index moves back behind buffers that the device has taken. */
static void test_backwards(void)
{
    static struct bed bed;
    struct vhost_frame got[4];
    struct vhost_ring *device;

    bed_open(&bed, SIZE, 65500, false, false);
    device = bed.device[BED_FRAMES];
    for (uint16_t i = 0; i < 3; i++) {
        bed_describe(&bed, BED_FRAMES, i, bed_guest(&bed, i), FRAME, 0, 0);
        bed_offer(&bed, BED_FRAMES, i);
    }
    CHECK(vhost_ring_receive(device, &bed.memory, got, 4) == 3);
    vring_publish(&bed.driver[BED_FRAMES].ring.avail->idx, 65501);
    CHECK(vhost_ring_receive(device, &bed.memory, got, 4) == 0 && device->broken);
    vhost_ring_return(device);
    CHECK(vring_see(&bed.driver[BED_FRAMES].ring.used->idx) == 65503);
    bed_close(&bed);
}

/* The index is further ahead than the ring's size, counted from the first buffer that the device
 * holds. Under IN_ORDER one used entry, at the beginning of a burst, returns it; the entry names
 * the last buffer (2.6.9). */
static void test_too_many(void)
{
    static struct bed bed;
    struct vhost_frame got[4];
    struct vhost_ring *device;

    bed_open(&bed, SIZE, 0, true, false);
    device = bed.device[BED_FRAMES];
    for (uint16_t i = 5; i < 8; i++) {
        bed_describe(&bed, BED_FRAMES, i, bed_guest(&bed, i), FRAME, 0, 0);
        bed_offer(&bed, BED_FRAMES, i);
    }
    CHECK(vhost_ring_receive(device, &bed.memory, got, 4) == 3);
    vring_publish(&bed.driver[BED_FRAMES].ring.avail->idx, SIZE + 1);
    CHECK(vhost_ring_receive(device, &bed.memory, got, 4) == 0 && device->broken);
    vhost_ring_return(device);
    CHECK(atomic_load(&bed.driver[BED_FRAMES].ring.used->ring[0].id) == 7);
    bed_close(&bed);
}

/* Return the number of calls or kicks: the value of the descriptor's counter, which is reset. */
static uint64_t told(int fd)
{
    uint64_t nb = 0;

    return read(fd, &nb, sizeof(nb)) == sizeof(nb) ? nb : 0;
}

static void return_one(struct bed *bed)
{
    struct vhost_frame got[4];

    bed_describe(bed, BED_FRAMES, 0, bed_guest(bed, 0), FRAME, 0, 0);
    bed_offer(bed, BED_FRAMES, 0);
    CHECK(vhost_ring_receive(bed->device[BED_FRAMES], &bed->memory, got, 4) == 1);
    vhost_ring_return(bed->device[BED_FRAMES]);
}

/* The driver is called when it enables calls, by flag or by event, and not otherwise. */
static void test_calls(bool event_idx)
{
    static struct bed bed;
    struct vring *ring = &bed.driver[BED_FRAMES].ring;
    int fd = eventfd(0, EFD_NONBLOCK);

    bed_open(&bed, SIZE, 65534, false, event_idx);
    bed.device[BED_FRAMES]->call_fd = fd;
    /* The flag disables calls; with EVENT_IDX the flag is ignored (2.6.7.1). */
    atomic_store_explicit(vring_used_event(ring), 65530, memory_order_relaxed);
    return_one(&bed);
    CHECK(told(fd) == 0);
    atomic_store_explicit(&ring->avail->flags, 0, memory_order_relaxed);
    return_one(&bed);
    CHECK(told(fd) == (event_idx ? 0 : 1));
    atomic_store_explicit(&ring->avail->flags, VRING_AVAIL_F_NO_INTERRUPT, memory_order_relaxed);
    atomic_store_explicit(vring_used_event(ring), 1, memory_order_relaxed);
    return_one(&bed); /* used.idx 0 to 1 */
    CHECK(told(fd) == 0);
    return_one(&bed); /* 1 to 2: passes 1 */
    CHECK(told(fd) == (event_idx ? 1 : 0));
    CHECK(bed.device[BED_FRAMES]->nb_calls == 1);
    close(fd);
    bed_close(&bed);
}

/* Kicks are enabled only before a sleep, and earlier frames prevent the sleep. */
static void test_kicks(void)
{
    static struct bed bed;
    struct vhost_ring *device;
    struct vhost_frame got[4];

    bed_open(&bed, SIZE, 65534, false, false);
    device = bed.device[BED_FRAMES];
    CHECK(!device_is_asleep(&bed.driver[BED_FRAMES]));
    CHECK(!vhost_ring_want_kicks(device, true));
    CHECK(device_is_asleep(&bed.driver[BED_FRAMES]));
    CHECK(!vhost_ring_want_kicks(device, false));
    CHECK(!device_is_asleep(&bed.driver[BED_FRAMES]));
    bed_describe(&bed, BED_FRAMES, 0, bed_guest(&bed, 0), FRAME, 0, 0);
    bed_offer(&bed, BED_FRAMES, 0);
    bed_offer(&bed, BED_FRAMES, 0);
    CHECK(vhost_ring_want_kicks(device, true));
    /* The driver checks once for the frames that it has published. */
    CHECK(vring_driver_kick_wanted(&bed.driver[BED_FRAMES]));
    CHECK(!vring_driver_kick_wanted(&bed.driver[BED_FRAMES]));
    CHECK(vhost_ring_receive(device, &bed.memory, got, 1) == 1);
    CHECK(vhost_ring_want_kicks(device, true)); /* there is another frame, seen before */
    CHECK(vhost_ring_receive(device, &bed.memory, got, 4) == 1);
    CHECK(!vhost_ring_want_kicks(device, true));
    bed_close(&bed);
    bed_open(&bed, SIZE, 65534, false, true);
    device = bed.device[BED_FRAMES];
    struct vring *ring = &bed.driver[BED_FRAMES].ring;
    _Atomic uint16_t *event = vring_avail_event(ring);
    CHECK(!vring_event_passed(atomic_load(event), 100, 65534));
    CHECK(!vhost_ring_want_kicks(device, true));
    CHECK(vring_event_passed(atomic_load(event), 65535, 65534));
    bed_close(&bed);
}

int main(void)
{
    test_single_descriptors();
    test_bad_chains();
    test_good_chains();
    test_many_chains();
    test_indices();
    test_backwards();
    test_too_many();
    test_calls(false);
    test_calls(true);
    test_kicks();
    return 0;
}
