/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Both sides of the rings in one memory: the device sends numbered frames, the driver returns every
 * buffer, and the device must see each number once and in order. Bursts of all sizes, indices that
 * begin shortly before 2^16; one thread that plays both sides in turn, and a thread each.
 */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "memory_bed.h"

enum { BURST = 64, START = 65500 };

struct echo {
    struct bed bed;
    uint64_t nb_wanted;
    uint64_t nb_sent, nb_received;
    uint64_t random;
};

static unsigned up_to(struct echo *echo, unsigned most)
{
    echo->random = echo->random * 6364136223846793005u + 1442695040888963407u;
    return 1 + (unsigned)(echo->random >> 33) % most;
}

static void device_send(struct echo *echo, unsigned most)
{
    struct vhost_frame rooms[BURST];
    struct vhost_ring *ring = echo->bed.device[BED_ROOMS];
    unsigned nb = vhost_ring_lend(ring, &echo->bed.memory, rooms, most);

    for (unsigned i = 0; i < nb && echo->nb_sent + i < echo->nb_wanted; i++) {
        uint64_t number = echo->nb_sent + i;
        CHECK(rooms[i].len == BED_BUFFER_BYTES - VIRTIO_NET_HEADER_BYTES);
        memcpy(rooms[i].data + 42, &number, sizeof(number));
        rooms[i].len = 60 + (uint32_t)(number % 1000);
    }
    if (nb > echo->nb_wanted - echo->nb_sent)
        nb = (unsigned)(echo->nb_wanted - echo->nb_sent);
    vhost_ring_send(ring, rooms, nb);
    echo->nb_sent += nb;
}

static void device_receive(struct echo *echo, unsigned most)
{
    struct vhost_frame frames[BURST];
    struct vhost_ring *ring = echo->bed.device[BED_FRAMES];
    unsigned nb;

    for (unsigned i = up_to(echo, 4); i > 1; i--)
        vhost_ring_ahead(ring, &echo->bed.memory, up_to(echo, most));
    nb = vhost_ring_receive(ring, &echo->bed.memory, frames, most);

    for (unsigned i = 0; i < nb; i++) {
        uint64_t number;
        memcpy(&number, frames[i].data + 42, sizeof(number));
        CHECK(number == echo->nb_received);
        CHECK(frames[i].len == 60 + (uint32_t)(number % 1000));
        echo->nb_received++;
    }
    vhost_ring_return(ring);
}

/* Return how many buffers moved. */
static unsigned driver_turn(struct echo *echo, unsigned most)
{
    struct bed *bed = &echo->bed;
    struct vring_driver *rx = &bed->driver[BED_ROOMS], *tx = &bed->driver[BED_FRAMES];
    unsigned nb = vring_driver_used(rx), nb_back = vring_driver_used(tx);
    const struct virtio_net_header plain = {.nb_buffers = 1};
    uint32_t len;

    nb = nb < most ? nb : most;
    for (unsigned i = 0; i < nb; i++) {
        uint16_t id = vring_driver_take(rx, &len);
        CHECK(memcmp(bed_buffer(bed, id), &plain, sizeof(plain)) == 0);
        bed_describe(bed, BED_FRAMES, id, bed_guest(bed, id), len, 0, 0);
        vring_driver_offer(tx, id);
    }
    vring_driver_publish(tx);
    for (unsigned i = 0; i < nb_back; i++)
        vring_driver_offer(rx, vring_driver_take(tx, &len));
    vring_driver_publish(rx);
    CHECK(!rx->broken && !tx->broken);
    return nb + nb_back;
}

static void echo_open(struct echo *echo, uint32_t size, bool in_order, bool event_idx,
                      uint64_t nb_wanted)
{
    *echo = (struct echo){.nb_wanted = nb_wanted, .random = size};
    bed_open(&echo->bed, size, START, in_order, event_idx);
    for (uint16_t i = 0; i < size; i++) {
        bed_describe(&echo->bed, BED_ROOMS, i, bed_guest(&echo->bed, i), BED_BUFFER_BYTES,
                     VRING_DESC_F_WRITE, 0);
        vring_driver_offer(&echo->bed.driver[BED_ROOMS], i);
    }
    vring_driver_publish(&echo->bed.driver[BED_ROOMS]);
}

static void echo_close(struct echo *echo)
{
    for (unsigned i = 0; i < BED_RINGS; i++) {
        CHECK(echo->bed.device[i]->nb_frames == echo->nb_wanted);
        CHECK(echo->bed.device[i]->nb_bad_descriptor == 0 && !echo->bed.device[i]->broken);
    }
    bed_close(&echo->bed);
}

static void test_turns(uint32_t size, bool in_order, bool event_idx, uint64_t nb_wanted)
{
    static struct echo echo;

    echo_open(&echo, size, in_order, event_idx, nb_wanted);
    while (echo.nb_received < nb_wanted) {
        device_send(&echo, up_to(&echo, BURST));
        driver_turn(&echo, up_to(&echo, 2 * BURST));
        device_receive(&echo, up_to(&echo, BURST));
    }
    echo_close(&echo);
}

static void *drive(void *of)
{
    struct echo *echo = of;

    /* Until every frame was returned to the driver. */
    while ((uint16_t)(START + echo->nb_wanted + echo->bed.driver[BED_ROOMS].ring.size) !=
               echo->bed.driver[BED_ROOMS].nb_published ||
           echo->bed.driver[BED_FRAMES].nb_taken != (uint16_t)(START + echo->nb_wanted)) {
        if (driver_turn(echo, 2 * BURST) == 0)
            sched_yield();
    }
    return NULL;
}

/* nb_wanted < 2^16 for each part: the driver's thread detects the end by the indices alone. */
static void test_threads(uint32_t size, bool in_order)
{
    static struct echo echo;
    pthread_t driver;

    for (unsigned part = 0; part < 4; part++) {
        echo_open(&echo, size, in_order, false, 65000);
        CHECK(pthread_create(&driver, NULL, drive, &echo) == 0);
        while (echo.nb_received < echo.nb_wanted) {
            uint64_t before = echo.nb_received;
            device_send(&echo, BURST);
            device_receive(&echo, BURST);
            if (echo.nb_received == before)
                sched_yield();
        }
        CHECK(pthread_join(driver, NULL) == 0);
        echo_close(&echo);
    }
}

static void test_events(void)
{
    CHECK(vring_event_passed(5, 6, 5) && !vring_event_passed(6, 6, 5));
    CHECK(vring_event_passed(5, 10, 3) && !vring_event_passed(2, 10, 3));
    CHECK(vring_event_passed(65535, 2, 65530) && !vring_event_passed(3, 2, 65530));
    CHECK(!vring_event_passed(7, 7, 7));
}

static void test_sizes(void)
{
    CHECK(vring_size_valid(1) && vring_size_valid(256) && vring_size_valid(32768));
    CHECK(!vring_size_valid(0) && !vring_size_valid(3) && !vring_size_valid(65536));
    CHECK(vring_avail_bytes(256) == 6 + 2 * 256 && vring_used_bytes(256) == 6 + 8 * 256);
}

/* The driver's side, with a device whose index jumps. */
static void test_lying_device(void)
{
    static struct bed bed;
    struct vring_driver *driver = &bed.driver[BED_ROOMS];

    bed_open(&bed, 256, START, true, false);
    bed_offer(&bed, BED_ROOMS, 0);
    bed_offer(&bed, BED_ROOMS, 1);
    vring_publish(&driver->ring.used->idx, START + 2);
    CHECK(vring_driver_used(driver) == 2 && !driver->broken);
    vring_publish(&driver->ring.used->idx, START + 3);
    CHECK(vring_driver_used(driver) == 0 && driver->broken);
    bed_close(&bed);
    bed_open(&bed, 256, START, false, false);
    atomic_store(&driver->ring.used->ring[START % 256].id, UINT32_MAX);
    CHECK(vring_driver_peek(driver, 0) < 256);
    vring_publish(&driver->ring.used->idx, START - 1);
    CHECK(vring_driver_used(driver) == 0 && driver->broken);
    bed_close(&bed);
}

int main(int argc, char **argv)
{
    const char *is_long = getenv("NEARMETAL_TEST_LONG");
    uint64_t nb = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;

    if (is_long != NULL && is_long[0] == '1')
        nb = 10000000;
    test_events();
    test_sizes();
    test_lying_device();
    for (uint32_t size = 256; size <= 1024; size *= 4) {
        test_turns(size, true, false, nb);
        test_turns(size, false, false, nb);
        test_turns(size, true, true, nb / 10);
        test_threads(size, true);
        test_threads(size, false);
    }
    return 0;
}
