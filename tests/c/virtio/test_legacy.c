/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings of a driver from before virtio 1: a shorter header, and the same checks. */
#include <string.h>

#include "../check.h"
#include "memory_bed.h"

enum { SIZE = 256, FRAME = 100 };

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE

static bool is_all(const uint8_t *at, uint8_t what)
{
    for (unsigned i = 0; i < FRAME; i++)
        if (at[i] != what)
            return false;
    return true;
}

/* A driver from before virtio 1: its header has 10 bytes, in its own descriptor or not. */
static void check_legacy(bool apart)
{
    static struct bed bed;
    struct vhost_frame got[4];
    uint32_t len, header = VIRTIO_NET_HEADER_LEGACY_BYTES;
    uint8_t *room, *frame;

    bed_open(&bed, SIZE, 0, false, false);
    bed.device[BED_FRAMES]->legacy = bed.device[BED_ROOMS]->legacy = true;
    room = bed_buffer(&bed, 1);
    frame = bed_buffer(&bed, 0);
    memset(room, 0xee, BED_BUFFER_BYTES);
    memset(frame, 0xee, header); /* any header: its content is ignored */
    memset(frame + header, 0x5a, FRAME);
    if (apart) {
        bed_describe(&bed, BED_FRAMES, 0, bed_guest(&bed, 0), header, NEXT, 1);
        bed_describe(&bed, BED_FRAMES, 1, bed_guest(&bed, 0) + header, FRAME, 0, 0);
        bed_describe(&bed, BED_ROOMS, 0, bed_guest(&bed, 1), header, NEXT | WRITE, 1);
        bed_describe(&bed, BED_ROOMS, 1, bed_guest(&bed, 1) + header, 1514, WRITE, 0);
    } else {
        bed_describe(&bed, BED_FRAMES, 0, bed_guest(&bed, 0), header + FRAME, 0, 0);
        bed_describe(&bed, BED_ROOMS, 0, bed_guest(&bed, 1), header + 1514, WRITE, 0);
    }
    bed_offer(&bed, BED_FRAMES, 0);
    bed_offer(&bed, BED_ROOMS, 0);
    CHECK(vhost_ring_receive(bed.device[BED_FRAMES], &bed.memory, got, 4) == 1);
    CHECK(got[0].len == FRAME && is_all(got[0].data, 0x5a));
    vhost_ring_return(bed.device[BED_FRAMES]);
    CHECK(vhost_ring_lend(bed.device[BED_ROOMS], &bed.memory, got, 4) == 1 && got[0].len == 1514);
    memset(got[0].data, 0xa5, FRAME);
    got[0].len = FRAME;
    vhost_ring_send(bed.device[BED_ROOMS], got, 1);
    for (uint32_t i = 0; i < header; i++)
        CHECK(room[i] == 0);
    CHECK(is_all(room + header, 0xa5) && room[header + FRAME] == 0xee);
    CHECK(vring_driver_used(&bed.driver[BED_ROOMS]) == 1);
    CHECK(vring_driver_take(&bed.driver[BED_ROOMS], &len) == 0 && len == header + FRAME);
    CHECK(vring_driver_used(&bed.driver[BED_FRAMES]) == 1);
    bed_close(&bed);
}

/* A buffer that is one byte too small. */
static void check_legacy_dropped(unsigned ring, uint32_t len, uint16_t flags)
{
    static struct bed bed;
    struct vhost_frame got[4];
    struct vhost_ring *device;

    bed_open(&bed, SIZE, 0, false, false);
    device = bed.device[ring];
    device->legacy = true;
    bed_describe(&bed, ring, 0, bed_guest(&bed, 0), len, flags, 0);
    bed_offer(&bed, ring, 0);
    CHECK((ring == BED_FRAMES ? vhost_ring_receive(device, &bed.memory, got, 4)
                              : vhost_ring_lend(device, &bed.memory, got, 4)) == 0);
    CHECK(device->nb_bad_descriptor == 1 && !device->broken);
    bed_close(&bed);
}

int main(void)
{
    check_legacy(true);
    check_legacy(false);
    check_legacy_dropped(BED_FRAMES, VIRTIO_NET_HEADER_LEGACY_BYTES + VHOST_FRAME_BYTES_MIN - 1, 0);
    check_legacy_dropped(BED_FRAMES, VIRTIO_NET_HEADER_LEGACY_BYTES + VHOST_FRAME_BYTES_MAX + 1, 0);
    check_legacy_dropped(BED_ROOMS, VIRTIO_NET_HEADER_LEGACY_BYTES + VHOST_ROOM_BYTES_MIN - 1,
                         WRITE);
    return 0;
}
