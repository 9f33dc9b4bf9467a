/* SPDX-License-Identifier: BSD-3-Clause */
/* The device side over its socket, with correct front ends of several kinds. */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "asleep.h"
#include "../check.h"
#include "front_bed.h"

static void test_next_front_end(struct front_bed *bed)
{
    struct vhost_frame rooms[64], frames[64];

    front_bed_shake_hands(bed);
    front_bed_check_works(bed);
    /* The front end disconnects while the device holds rooms and frames of its memory. */
    vring_driver_offer(&bed->tx, 3);
    vring_driver_publish(&bed->tx);
    unsigned nb = vhost_lend(bed->device, rooms, 64);
    CHECK(nb == 64 && vhost_receive(bed->device, frames, 64) == 1);
    vhost_front_disconnect(&bed->front);
    front_bed_control(bed);
    CHECK(!vhost_up(bed->device));
    for (unsigned i = 0; i < nb; i++) {
        memset(rooms[i].data, 1, FRAME);
        rooms[i].len = FRAME;
    }
    CHECK(frames[0].data[0] == 0);
    vhost_send(bed->device, rooms, nb);
    vhost_return(bed->device);
    CHECK(vring_driver_used(&bed->rx) == 0);
    front_bed_shake_hands(bed);
    front_bed_check_works(bed);
}

/* QEMU may enable rings before it sends their addresses. */
static void test_enable_first(struct front_bed *bed)
{
    front_bed_dial(bed);
    front_bed_send_state(bed, VHOST_USER_SET_VRING_ENABLE, 0, 1);
    front_bed_send_state(bed, VHOST_USER_SET_VRING_ENABLE, 1, 1);
    CHECK(!vhost_up(bed->device));
    front_bed_send_u64(bed, VHOST_USER_SET_FEATURES, bed->front.features);
    CHECK(vhost_front_start(&bed->front));
    front_bed_control(bed);
    CHECK(vhost_up(bed->device));
    front_bed_send_state(bed, VHOST_USER_SET_VRING_ENABLE, 1, 0);
    CHECK(!vhost_up(bed->device));
    front_bed_send_state(bed, VHOST_USER_SET_VRING_ENABLE, 1, 1);
    CHECK(vhost_up(bed->device));
}

/* A driver from before virtio 1 may negotiate no feature at all; the next may be a modern one. */
static void test_legacy(struct front_bed *bed)
{
    bed->legacy = true;
    front_bed_shake_hands(bed);
    front_bed_check_works(bed);
    front_bed_check_works(bed);
    bed->legacy = false;
    front_bed_shake_hands(bed);
    front_bed_check_works(bed);
    /* Rings without negotiated features are not used. */
    front_bed_dial(bed);
    CHECK(vhost_front_start(&bed->front));
    front_bed_control(bed);
    CHECK(!vhost_up(bed->device));
    front_bed_send_u64(bed, VHOST_USER_SET_FEATURES, 0);
    CHECK(vhost_up(bed->device));
}

/* Stop, send the memory again, and continue at the same index. */
static void test_stop_and_go(struct front_bed *bed)
{
    struct vhost_user_reader reader = {0};

    front_bed_shake_hands(bed);
    front_bed_check_works(bed);
    for (uint32_t ring = 0; ring < 2; ring++) {
        front_bed_send_state(bed, VHOST_USER_GET_VRING_BASE, ring, 0);
        CHECK(!vhost_up(bed->device));
        CHECK(vhost_user_receive(bed->front.socket, &reader) == VHOST_USER_MESSAGE);
        CHECK(reader.message.payload.state.ring == ring && reader.message.payload.state.value == 8);
    }
    CHECK(vhost_front_start(&bed->front));
    front_bed_control(bed);
    front_bed_check_works(bed);
}

static void test_reply_ack(struct front_bed *bed)
{
    struct vhost_user_reader reader = {0};
    struct vhost_user_message message = {
        .header = {VHOST_USER_SET_VRING_NUM, VHOST_USER_VERSION | VHOST_USER_NEED_REPLY, 8},
        .payload.state = {0, SIZE}};

    front_bed_dial(bed);
    front_bed_send_message(bed, &message);
    CHECK(vhost_user_receive(bed->front.socket, &reader) == VHOST_USER_NOTHING);
    front_bed_send_u64(bed, VHOST_USER_SET_PROTOCOL_FEATURES,
                       1ull << VHOST_USER_PROTOCOL_F_REPLY_ACK);
    front_bed_send_message(bed, &message);
    CHECK(vhost_user_receive(bed->front.socket, &reader) == VHOST_USER_MESSAGE);
    CHECK(reader.message.payload.u64 == 0);
    message.payload.state.value = 3;
    front_bed_send_message(bed, &message);
    CHECK(vhost_user_receive(bed->front.socket, &reader) == VHOST_USER_MESSAGE);
    CHECK(reader.message.payload.u64 != 0);
}

static void *kick_a_sleeper(void *of)
{
    struct front_bed *bed = of;

    /* Only a device that is about to sleep enables kicks. */
    while (!device_is_asleep(&bed->tx))
        sched_yield();
    vring_driver_offer(&bed->tx, 3);
    vring_driver_publish(&bed->tx);
    vhost_front_kick(&bed->front, VHOST_FRONT_TX);
    return NULL;
}

/* The time-out is far longer than a test may take: only the kick can end the sleep. */
static void test_sleep(struct front_bed *bed)
{
    const uint64_t for_ever = 3600ull * 1000000000u;
    struct vhost_frame frames[4];
    struct vhost_stats stats;
    pthread_t driver;

    front_bed_shake_hands(bed);
    front_bed_check_works(bed);
    CHECK(!device_is_asleep(&bed->tx) && !device_is_asleep(&bed->rx));
    CHECK(pthread_create(&driver, NULL, kick_a_sleeper, bed) == 0);
    while (vhost_receive(bed->device, frames, 4) == 0)
        vhost_wait(bed->device, -1, for_ever);
    CHECK(pthread_join(driver, NULL) == 0);
    vhost_return(bed->device);
    CHECK(!device_is_asleep(&bed->tx));
    /* The counter is read, in this wait or in the last, and its value is counted. */
    vhost_front_kick(&bed->front, VHOST_FRONT_TX);
    vhost_wait(bed->device, -1, for_ever);
    vhost_stats(bed->device, &stats);
    CHECK(stats.nb_kicks == 2);
    /* A message or the end of the connection also wakes the device. */
    vhost_front_disconnect(&bed->front);
    vhost_wait(bed->device, -1, for_ever);
    front_bed_control(bed);
    CHECK(!vhost_up(bed->device));
}

/* The device got no room and is about to sleep; then the driver adds some, without a kick, because
 * the device has not enabled kicks at that time. */
static void test_rooms_come_before_it_asks(struct front_bed *bed)
{
    const uint64_t for_ever = 3600ull * 1000000000u;
    struct vhost_frame rooms[SIZE];
    uint32_t len;

    front_bed_shake_hands(bed);
    for (unsigned nb_sent = 0; nb_sent < SIZE;) {
        unsigned nb = vhost_lend(bed->device, rooms, SIZE);
        for (unsigned i = 0; i < nb; i++)
            rooms[i].len = FRAME;
        vhost_send(bed->device, rooms, nb);
        nb_sent += nb;
    }
    CHECK(vhost_lend(bed->device, rooms, SIZE) == 0);
    CHECK(vring_driver_used(&bed->rx) == SIZE);
    vring_driver_offer(&bed->rx, vring_driver_take(&bed->rx, &len));
    vring_driver_publish(&bed->rx);
    CHECK(!vring_driver_kick_wanted(&bed->rx));
    CHECK(vhost_wait(bed->device, -1, for_ever));
    CHECK(vhost_lend(bed->device, rooms, SIZE) == 1);
    CHECK(!vhost_wait(bed->device, -1, 1)); /* now there are rooms: it waits only for frames */
}

/* An earlier device may have returned a buffer, and ended before its call. */
static void test_calls_when_it_begins(struct front_bed *bed)
{
    int call_fd = eventfd(0, EFD_NONBLOCK);
    uint64_t nb_calls = 0;
    struct vhost_user_message message = {
        .header = {VHOST_USER_SET_VRING_CALL, VHOST_USER_VERSION, sizeof(uint64_t)},
        .payload.u64 = VHOST_FRONT_RX,
        .fds = {call_fd},
        .nb_fds = 1};

    CHECK(call_fd >= 0);
    front_bed_dial(bed);
    front_bed_send_message(bed, &message);
    CHECK(read(call_fd, &nb_calls, sizeof(nb_calls)) == sizeof(nb_calls) && nb_calls == 1);
    close(call_fd);
}

int main(void)
{
    static struct front_bed bed;

    front_bed_open(&bed);
    test_next_front_end(&bed);
    test_enable_first(&bed);
    test_legacy(&bed);
    test_stop_and_go(&bed);
    test_reply_ack(&bed);
    test_sleep(&bed);
    test_rooms_come_before_it_asks(&bed);
    test_calls_when_it_begins(&bed);
    front_bed_close(&bed);
    return 0;
}
