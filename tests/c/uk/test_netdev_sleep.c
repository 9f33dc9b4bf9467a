/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sleeping and waking: a device that enables kicks gets one for each event that it could wait for,
 * and no other kick; netdev sleeps only if there is no work, and enables calls first.
 */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "netdev_bed.h"

enum { SIZE = 256, START = 65500, BURST = 64 };
enum { TURNS_MAX = 32 }; /* a kick may be delayed for some turns (KICK_TURNS in netdev.c) */

static uint64_t nb_kicks(unsigned ring)
{
    uint64_t nb = bed.nb_kicks[ring];

    bed.nb_kicks[ring] = 0;
    return nb;
}

static void open_bed(const void *argument)
{
    const uint64_t *features = argument;

    netdev_bed_open(SIZE, *features, START);
    CHECK(bed_rx_burst(BURST) == 0);
    CHECK(nb_kicks(TRANSPORT_RX) == 0 && nb_kicks(TRANSPORT_TX) == 0);
}

static unsigned device_send(unsigned nb)
{
    struct vhost_frame rooms[BURST];
    unsigned nb_rooms = vhost_ring_lend(bed.device[TRANSPORT_RX], &bed.memory, rooms, nb);

    for (unsigned i = 0; i < nb_rooms; i++)
        rooms[i].len = 60;
    vhost_ring_send(bed.device[TRANSPORT_RX], rooms, nb_rooms);
    return nb_rooms;
}

/* Receive all frames that the driver has sent. */
static unsigned device_take(void)
{
    struct vhost_frame frames[BURST];
    unsigned nb, nb_all = 0;

    while ((nb = vhost_ring_receive(bed.device[TRANSPORT_TX], &bed.memory, frames, BURST)) > 0) {
        nb_all += nb;
        vhost_ring_return(bed.device[TRANSPORT_TX]);
    }
    return nb_all;
}

/* Take turns until there is a kick; there must be exactly one. */
static void check_kicked(unsigned ring)
{
    for (unsigned turn = 0; turn < TURNS_MAX && bed.nb_kicks[ring] == 0; turn++)
        CHECK(bed_rx_burst(BURST) == 0);
    CHECK(nb_kicks(ring) == 1);
}

static void check_quiet(void)
{
    for (unsigned turn = 0; turn < 1000; turn++)
        CHECK(bed_rx_burst(BURST) == 0);
    CHECK(nb_kicks(TRANSPORT_RX) == 0 && nb_kicks(TRANSPORT_TX) == 0);
}

/* ---- the device sleeps ---- */

static void test_kicked_for_frames(const void *argument)
{
    open_bed(argument);
    for (unsigned round = 0; round < 3000; round++) {
        CHECK(device_send(3) == 3 && bed_rx_burst(BURST) == 3);
        CHECK(!vhost_ring_want_kicks(bed.device[TRANSPORT_TX], true));
        CHECK(bed_tx_burst(3) == 3);
        check_kicked(TRANSPORT_TX);
        vhost_ring_want_kicks(bed.device[TRANSPORT_TX], false);
        CHECK(device_take() == 3);
    }
    check_quiet();
    bed_check_none_lost();
    netdev_bed_close();
}

/* One direction has traffic without pause, the other sleeps. */
static void test_kicked_without_pause(const void *argument)
{
    open_bed(argument);
    for (unsigned round = 0; round < 1000; round++) {
        CHECK(!vhost_ring_want_kicks(bed.device[TRANSPORT_TX], true));
        for (unsigned turn = 0; bed.nb_kicks[TRANSPORT_TX] == 0; turn++) {
            CHECK(turn < TURNS_MAX);
            CHECK(device_send(4) == 4 && bed_rx_burst(BURST) == 4 && bed_tx_burst(4) == 4);
        }
        CHECK(nb_kicks(TRANSPORT_TX) == 1);
        vhost_ring_want_kicks(bed.device[TRANSPORT_TX], false);
        device_take();
    }
    bed_check_none_lost();
    netdev_bed_close();
}

/* The device has filled all rooms and waits for one; the caller frees them unsent. */
static void test_kicked_for_rooms_freed(const void *argument)
{
    open_bed(argument);
    for (unsigned round = 0; round < 1000; round++) {
        while (device_send(BURST) > 0)
            ;
        CHECK(!vhost_ring_want_kicks(bed.device[TRANSPORT_RX], true));
        while (bed_rx_burst(BURST) > 0)
            bed_free_all();
        check_kicked(TRANSPORT_RX);
        vhost_ring_want_kicks(bed.device[TRANSPORT_RX], false);
    }
    check_quiet();
    bed_check_none_lost();
    netdev_bed_close();
}

/* The device has filled all rooms and waits for one; they return late, through the other ring. */
static void test_kicked_for_rooms_sent(const void *argument)
{
    open_bed(argument);
    for (unsigned round = 0; round < 1000; round++) {
        while (device_send(BURST) > 0)
            ;
        CHECK(!vhost_ring_want_kicks(bed.device[TRANSPORT_RX], true));
        while (bed_rx_burst(BURST) > 0)
            CHECK(bed_tx_burst(bed.nb_held) > 0 && bed.nb_held == 0);
        check_quiet();
        CHECK(device_take() == SIZE);
        check_kicked(TRANSPORT_RX);
        vhost_ring_want_kicks(bed.device[TRANSPORT_RX], false);
    }
    check_quiet();
    bed_check_none_lost();
    netdev_bed_close();
}

/* Frames are freed without end, none is sent and no turn is empty: no kick while not enabled. */
static void test_not_kicked_while_it_polls(const void *argument)
{
    open_bed(argument);
    for (unsigned i = 0; i < 20000; i++) {
        CHECK(device_send(1 + i % BURST) == 1 + i % BURST);
        CHECK(bed_rx_burst(BURST) == 1 + i % BURST);
        bed_free_all();
    }
    check_quiet();
    bed_check_none_lost();
    netdev_bed_close();
}

/* ---- netdev sleeps ---- */

static void frame_comes(void)
{
    uint64_t nb_calls = bed.device[TRANSPORT_RX]->nb_calls;

    CHECK(device_send(1) == 1);
    CHECK(bed.device[TRANSPORT_RX]->nb_calls == nb_calls + 1); /* the driver had enabled calls */
}

static void test_called(const void *argument)
{
    open_bed(argument);
    bed.device[TRANSPORT_RX]->call_fd = eventfd(0, EFD_NONBLOCK);
    bed.during_wait = frame_comes;
    for (unsigned round = 0; round < 40000; round++) {
        frames_wait(bed.frames, 1000);
        CHECK(bed.nb_waits == round + 1u && bed_rx_burst(BURST) == 1);
        bed_free_all();
        /* While awake, the driver is not called. */
        CHECK(device_send(2) == 2 && bed_rx_burst(BURST) == 2);
        bed_free_all();
        CHECK(bed.device[TRANSPORT_RX]->nb_calls == round + 1u);
        CHECK(bed_rx_burst(BURST) == 0);
    }
    close(bed.device[TRANSPORT_RX]->call_fd);
    netdev_bed_close();
}

/* netdev does not sleep if there is work, or if it has not seen the link's end. */
static void test_not_asleep(const void *argument)
{
    open_bed(argument);
    CHECK(device_send(1) == 1);
    frames_wait(bed.frames, 1000);
    CHECK(bed.nb_waits == 0 && bed_rx_burst(BURST) == 1);
    bed_free_all();
    netdev_bed_down();
    frames_wait(bed.frames, 1000); /* the driver has not seen the end */
    CHECK(bed.nb_waits == 0 && bed_rx_burst(BURST) == 0);
    frames_wait(bed.frames, 1000); /* now it has, and there is no device to wait for */
    CHECK(bed.nb_waits == 1 && bed_rx_burst(BURST) == 0);
    netdev_bed_close();
}

/* Before netdev sleeps, it kicks the device for all buffers published. */
static void kicked_before(void)
{
    CHECK(nb_kicks(TRANSPORT_TX) == 1);
}

static void test_kicks_before_it_sleeps(const void *argument)
{
    open_bed(argument);
    CHECK(device_send(1) == 1 && bed_rx_burst(BURST) == 1);
    vhost_ring_want_kicks(bed.device[TRANSPORT_TX], true);
    CHECK(bed_tx_burst(1) == 1);
    bed.during_wait = kicked_before;
    frames_wait(bed.frames, 1000);
    CHECK(bed.nb_waits == 1);
    netdev_bed_close();
}

/* All rooms are in flight as sent frames, so the device has none to fill and call for: the driver
 * must give it some before it sleeps. */
static void a_room_is_there(void)
{
    CHECK(device_take() == SIZE);
    CHECK(device_send(1) == 1);
}

static void test_no_sleep_without_rooms(const void *argument)
{
    open_bed(argument);
    struct frame spares[BURST]; /* frames/udp.c holds as many all the time */
    CHECK(frames_alloc(bed.frames, spares, BURST) == BURST);
    while (device_send(BURST) > 0)
        ;
    while (bed_rx_burst(BURST) > 0)
        CHECK(bed_tx_burst(bed.nb_held) > 0 && bed.nb_held == 0);
    bed.during_wait = a_room_is_there;
    frames_wait(bed.frames, 1000);
    device_take();
    CHECK(bed_rx_burst(BURST) == bed.nb_waits);
    bed_free_all();
    frames_free(bed.frames, spares, BURST);
    bed_check_none_lost();
    netdev_bed_close();
}

int main(void)
{
    static const uint64_t features[] = {BED_IN_ORDER, BED_IN_ORDER | BED_EVENT_IDX, BED_EVENT_IDX};
    static const struct {
        const char *name;
        void (*run)(const void *);
    } cases[] = {
        {"kicked for frames", test_kicked_for_frames},
        {"kicked without a pause", test_kicked_without_pause},
        {"kicked for rooms freed", test_kicked_for_rooms_freed},
        {"kicked for rooms sent", test_kicked_for_rooms_sent},
        {"not kicked while it polls", test_not_kicked_while_it_polls},
        {"called", test_called},
        {"not asleep", test_not_asleep},
        {"kicks before it sleeps", test_kicks_before_it_sleeps},
        {"no sleep without rooms", test_no_sleep_without_rooms},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (unsigned j = 0; j < sizeof(features) / sizeof(features[0]); j++)
            netdev_bed_alone(cases[i].name, cases[i].run, &features[j]);
    }
    return 0;
}
