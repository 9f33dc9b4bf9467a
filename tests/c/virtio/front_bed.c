/* SPDX-License-Identifier: BSD-3-Clause */
/* A device side and a front end of it: see front_bed.h. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../check.h"
#include "front_bed.h"

void front_bed_control(struct front_bed *bed)
{
    for (unsigned i = 0; i < 4; i++)
        vhost_control(bed->device);
}

unsigned front_bed_open_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    unsigned nb = 0;

    CHECK(folder != NULL);
    while (readdir(folder) != NULL)
        nb++;
    closedir(folder);
    return nb;
}

void front_bed_dial(struct front_bed *bed)
{
    vhost_front_disconnect(&bed->front);
    front_bed_control(bed);
    CHECK(!vhost_up(bed->device));
    bed->front.socket = vhost_user_connect(bed->path);
    CHECK(bed->front.socket >= 0);
    /* The features that the front end's own handshake would negotiate. */
    bed->front.features = 1ull << VHOST_USER_F_PROTOCOL_FEATURES;
    if (!bed->legacy)
        bed->front.features |= 1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_F_IN_ORDER;
    front_bed_control(bed);
}

void front_bed_send_message(struct front_bed *bed, const struct vhost_user_message *message)
{
    CHECK(vhost_user_send(bed->front.socket, message));
    front_bed_control(bed);
}

void front_bed_send_u64(struct front_bed *bed, uint32_t request, uint64_t value)
{
    struct vhost_user_message message = {.header = {request, VHOST_USER_VERSION, 8},
                                         .payload.u64 = value};
    front_bed_send_message(bed, &message);
}

void front_bed_send_state(struct front_bed *bed, uint32_t request, uint32_t ring, uint32_t value)
{
    struct vhost_user_message message = {.header = {request, VHOST_USER_VERSION, 8},
                                         .payload.state = {ring, value}};
    front_bed_send_message(bed, &message);
}

static uint32_t header_bytes(const struct front_bed *bed)
{
    return bed->legacy ? VIRTIO_NET_HEADER_LEGACY_BYTES : VIRTIO_NET_HEADER_BYTES;
}

void front_bed_shake_hands(struct front_bed *bed)
{
    struct vhost_front *front = &bed->front;

    front_bed_dial(bed);
    front_bed_send_u64(bed, VHOST_USER_SET_FEATURES, front->features);
    memset(front->memory, 0, (size_t)(front->buffers - front->memory));
    vring_driver_init(&bed->rx, &front->rings[VHOST_FRONT_RX], bed->rx_order, !bed->legacy);
    vring_driver_init(&bed->tx, &front->rings[VHOST_FRONT_TX], bed->tx_order, !bed->legacy);
    for (uint16_t i = 0; i < SIZE; i++) {
        uint64_t at = front->buffers_guest + (uint64_t)i * ROOM;
        vring_driver_describe(&bed->rx, i, at, ROOM, VRING_DESC_F_WRITE);
        vring_driver_describe(&bed->tx, i, at, FRAME + header_bytes(bed), 0);
        vring_driver_offer(&bed->rx, i);
    }
    vring_driver_publish(&bed->rx);
    CHECK(vhost_front_start(front));
    front_bed_control(bed);
}

void front_bed_check_works(struct front_bed *bed)
{
    struct vhost_frame rooms[8], frames[8];

    CHECK(vhost_up(bed->device));
    CHECK(vhost_lend(bed->device, rooms, 8) == 8);
    for (unsigned i = 0; i < 8; i++) {
        memset(rooms[i].data, (int)i + 1, FRAME);
        rooms[i].len = FRAME;
    }
    vhost_send(bed->device, rooms, 8);
    CHECK(vring_driver_used(&bed->rx) == 8);
    for (unsigned i = 0; i < 8; i++) {
        uint32_t len;
        uint16_t id = vring_driver_take(&bed->rx, &len);
        CHECK(len == FRAME + header_bytes(bed));
        vring_driver_offer(&bed->tx, id);
    }
    vring_driver_publish(&bed->tx);
    CHECK(vhost_receive(bed->device, frames, 8) == 8);
    for (unsigned i = 0; i < 8; i++)
        CHECK(frames[i].len == FRAME && frames[i].data[FRAME - 1] == i + 1);
    vhost_return(bed->device);
    CHECK(vring_driver_used(&bed->tx) == 8);
    for (unsigned i = 0; i < 8; i++) {
        uint32_t len;
        vring_driver_offer(&bed->rx, vring_driver_take(&bed->tx, &len));
    }
    vring_driver_publish(&bed->rx);
}

void front_bed_open(struct front_bed *bed)
{
    struct vhost_front_config front = {
        .path = bed->path, .ring_size = SIZE, .buffers_bytes = SIZE * ROOM};
    struct vhost_config device = {.path = bed->path, .sleeps = true};

    const char *tmp = getenv("TMPDIR");
    if (tmp == NULL || strlen(tmp) > sizeof(bed->folder) / 2) /* a socket's path has 107 bytes */
        tmp = "/tmp";
    snprintf(bed->folder, sizeof(bed->folder), "%s/nearmetal-virtio-%ld", tmp, (long)getpid());
    CHECK(mkdir(bed->folder, 0700) == 0);
    snprintf(bed->path, sizeof(bed->path), "%s/socket", bed->folder);
    CHECK(vhost_open(&bed->device, &device) == NULL);
    CHECK(vhost_front_open(&bed->front, &front) == NULL);
}

void front_bed_close(struct front_bed *bed)
{
    vhost_close(bed->device);
    vhost_front_close(&bed->front);
    CHECK(access(bed->path, F_OK) != 0 && rmdir(bed->folder) == 0);
}
