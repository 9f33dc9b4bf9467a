/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libFuzzer target: a driver that writes anything into its rings, at any time, while the device
 * side lends, sends, receives and returns. Every byte that the device side hands out is touched, so
 * that AddressSanitizer detects an address outside the driver's memory.
 *
 * An input is a sequence of steps: a byte that selects the step, and its arguments. Arguments are
 * mostly small numbers, scaled to be near the limits of the allowed range.
 */
#include <string.h>

#include "../check.h"
#include "memory_bed.h"

enum { SIZE = 8, BURST = 12 };

struct input {
    const uint8_t *at, *end;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes);

static uint64_t take(struct input *input, unsigned nb)
{
    uint64_t value = 0;

    for (; nb > 0 && input->at < input->end; nb--)
        value = value << 8 | *input->at++;
    return value;
}

/* Return an address before, in, at the end of or behind the memory; or any address. */
static uint64_t take_addr(struct input *input, const struct bed *bed)
{
    const uint64_t bases[] = {BED_GUEST, BED_GUEST + bed->buffers, BED_GUEST + bed->nb_bytes - 2000,
                              0};
    uint64_t base = bases[take(input, 1) % 4];

    return base == 0 ? take(input, 8) : base + take(input, 2) % 4096 - 64;
}

static uint32_t take_len(struct input *input)
{
    static const uint32_t lens[] = {0,    10,   12,   24,   25,   26,   112,
                                    1524, 1526, 1528, 1530, 1531, 1536, UINT32_MAX};
    uint64_t which = take(input, 1);

    return which < sizeof(lens) / sizeof(lens[0]) ? lens[which]
                                                  : (uint32_t)take(input, which % 2 ? 4 : 1);
}

static void drive(struct input *input, struct bed *bed)
{
    unsigned what = (unsigned)take(input, 1), ring = what & 1;
    struct vring *at = &bed->driver[ring].ring;
    uint16_t i = (uint16_t)(take(input, 1) % SIZE);
    uint64_t addr;
    uint32_t len;

    switch (what >> 1 & 3) {
    case 0:
        addr = take_addr(input, bed);
        len = take_len(input);
        bed_describe(bed, ring, i, addr, len, (uint16_t)(take(input, 1) & 7),
                     (uint16_t)(take(input, 1) % (SIZE + 1)));
        break;
    case 1:
        bed_offer(bed, ring, i);
        break;
    case 2:
        atomic_store_explicit(&at->avail->ring[i], (uint16_t)take(input, 2), memory_order_relaxed);
        break;
    default:
        vring_publish(&at->avail->idx,
                      (uint16_t)(vring_see(&at->used->idx) + take(input, 1) % (SIZE + 2)));
    }
}

static void send_burst(struct input *input, struct bed *bed)
{
    struct vhost_frame rooms[BURST];
    struct vhost_ring *ring = bed->device[BED_ROOMS];
    unsigned nb = vhost_ring_lend(ring, &bed->memory, rooms, 1 + (unsigned)take(input, 1) % BURST);
    unsigned nb_send = nb > 0 ? (unsigned)take(input, 1) % (nb + 1) : 0;

    CHECK(nb <= SIZE);
    for (unsigned i = 0; i < nb_send; i++) {
        CHECK(rooms[i].len >= VHOST_ROOM_BYTES_MIN);
        rooms[i].len = rooms[i].len < VHOST_FRAME_BYTES_MAX ? rooms[i].len : VHOST_FRAME_BYTES_MAX;
        memset(rooms[i].data, (int)i, rooms[i].len);
    }
    vhost_ring_send(ring, rooms, nb_send);
}

static void receive_burst(struct input *input, struct bed *bed)
{
    struct vhost_frame frames[BURST];
    struct vhost_ring *ring = bed->device[BED_FRAMES];
    volatile uint8_t sum = 0;
    unsigned nb;

    vhost_ring_ahead(ring, &bed->memory, (unsigned)take(input, 1) % BURST);
    nb = vhost_ring_receive(ring, &bed->memory, frames, (unsigned)take(input, 1) % BURST);

    CHECK(nb <= SIZE);
    for (unsigned i = 0; i < nb; i++) {
        CHECK(frames[i].len >= VHOST_FRAME_BYTES_MIN && frames[i].len <= VHOST_FRAME_BYTES_MAX);
        for (uint32_t j = 0; j < frames[i].len; j++)
            sum = (uint8_t)(sum + frames[i].data[j]);
    }
    if (take(input, 1) & 1)
        vhost_ring_return(ring);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t nb_bytes)
{
    struct input input = {data, data + nb_bytes};
    static struct bed bed;
    uint64_t options = take(&input, 1);

    bed_open(&bed, SIZE, 65530, options & 1, options & 2);
    bed.device[BED_ROOMS]->legacy = bed.device[BED_FRAMES]->legacy = options & 4;
    while (input.at < input.end) {
        unsigned step = (unsigned)take(&input, 1) % 4;
        if (step < 2)
            drive(&input, &bed);
        else if (step == 2)
            send_burst(&input, &bed);
        else
            receive_burst(&input, &bed);
    }
    for (unsigned i = 0; i < BED_RINGS; i++) {
        const struct vhost_ring *ring = bed.device[i];
        CHECK((uint16_t)(ring->given - ring->done) <= SIZE);
        CHECK((uint16_t)(ring->prepared - ring->done) <= SIZE);
        CHECK(ring->broken == (ring->nb_bad_index > 0));
    }
    bed_close(&bed);
    return 0;
}
