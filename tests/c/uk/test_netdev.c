/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * netdev between a correct device and a correct caller: the device sends numbered frames, the
 * caller sends most of them back, drops some, and adds replies in spare frames; each must arrive
 * intact, once, and in order. Rings of all sizes, bursts of all sizes, indices that begin shortly
 * before 2^16, in-order and out-of-order devices.
 *
 * The device polls: it is never kicked, and never calls.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "loose_device.h"

enum { BURST = 64, START = 65500, HELD_MAX = 256, FIFO = 4096 };

#define EXTRA (1ull << 63) /* flag in a number: an additional reply, not the frame itself */

struct kind {
    uint32_t size;
    uint64_t features;
    uint64_t nb_wanted;
};

struct echo {
    struct kind kind;
    struct loose rx, tx; /* without IN_ORDER */
    uint64_t random;
    uint64_t nb_sent, nb_seen;    /* by the device, by the caller */
    uint64_t nb_left, nb_arrived; /* replies: from the caller, at the device */
    uint64_t expected[FIFO];      /* numbers of the replies in flight */
    uint64_t nb_told, nb_ahead;   /* frames received or announced; frames announced first */
    struct frame told[FIFO];
};

static struct echo echo;

static unsigned up_to(unsigned most)
{
    echo.random = echo.random * 6364136223846793005u + 1442695040888963407u;
    return 1 + (unsigned)(echo.random >> 33) % most;
}

static bool keeps_order(void)
{
    return echo.kind.features & BED_IN_ORDER;
}

/* ---- frames ---- */

static uint32_t len_of(uint64_t number)
{
    return 60 + (uint32_t)(number % (FRAME_BYTES_MAX - 60 + 1));
}

/* Write the number at the frame's beginning, in its middle, and as its last bytes. */
static void write_frame(uint8_t *data, uint64_t number)
{
    uint32_t len = len_of(number);

    memcpy(data, &number, sizeof(number));
    memcpy(data + len / 2, &number, sizeof(number));
    memcpy(data + len - sizeof(number), &number, sizeof(number));
}

/* Return the frame's number, and check that the frame is as it was sent. */
static uint64_t read_frame(const uint8_t *data, uint32_t len)
{
    uint64_t number, middle, last;

    CHECK(len >= 60 && len <= FRAME_BYTES_MAX);
    memcpy(&number, data, sizeof(number));
    memcpy(&middle, data + len / 2, sizeof(number));
    memcpy(&last, data + len - sizeof(number), sizeof(number));
    CHECK(number == middle && number == last && len == len_of(number));
    return number;
}

/* ---- the device ---- */

static void device_send(unsigned most)
{
    struct vhost_frame rooms[BURST];
    struct vhost_ring *ring = bed.device[TRANSPORT_RX];
    unsigned nb = keeps_order() ? vhost_ring_lend(ring, &bed.memory, rooms, most)
                                : loose_lend(&echo.rx, rooms, most);

    nb = nb < echo.kind.nb_wanted - echo.nb_sent ? nb
                                                 : (unsigned)(echo.kind.nb_wanted - echo.nb_sent);
    for (unsigned i = 0; i < nb; i++) {
        CHECK(!bed_is_held(rooms[i].data) && rooms[i].len >= FRAME_BYTES_MAX);
        rooms[i].len = len_of(echo.nb_sent);
        write_frame(rooms[i].data, echo.nb_sent++);
    }
    if (keeps_order())
        vhost_ring_send(ring, rooms, nb);
    else
        loose_send(&echo.rx, rooms, nb);
}

static void device_receive(unsigned most)
{
    static const struct virtio_net_header plain;
    struct vhost_frame frames[BURST];
    struct vhost_ring *ring = bed.device[TRANSPORT_TX];
    unsigned nb = keeps_order() ? vhost_ring_receive(ring, &bed.memory, frames, most)
                                : loose_receive(&echo.tx, frames, most);

    for (unsigned i = 0; i < nb; i++) {
        CHECK(!bed_is_held(frames[i].data));
        CHECK(memcmp(frames[i].data - VIRTIO_NET_HEADER_BYTES, &plain,
                     offsetof(struct virtio_net_header, nb_buffers)) == 0);
        CHECK(echo.nb_arrived < echo.nb_left);
        CHECK(read_frame(frames[i].data, frames[i].len) == echo.expected[echo.nb_arrived % FIFO]);
        echo.nb_arrived++;
    }
    if (keeps_order())
        vhost_ring_return(ring);
    else
        loose_return(&echo.tx, up_to(BURST));
}

/* ---- the caller ---- */

/* Announced frames are the next to arrive, and each is announced once. */
static void caller_receive(unsigned most)
{
    unsigned before = bed.nb_held;
    unsigned nb = before < HELD_MAX ? bed_rx_burst(most) : 0;
    struct frame ahead[BURST];

    for (unsigned i = before; i < before + nb; i++) {
        if (echo.nb_seen < echo.nb_told) {
            const struct frame *told = &echo.told[echo.nb_seen % FIFO];
            CHECK(told->data == bed.held[i].data && told->len == bed.held[i].len);
        }
        CHECK(read_frame(bed.held[i].data, bed.held[i].len) == echo.nb_seen++);
    }
    if (nb == 0)
        return;
    echo.nb_told = echo.nb_told > echo.nb_seen ? echo.nb_told : echo.nb_seen;
    for (unsigned more = frames_ahead(bed.frames, ahead, up_to(BURST)), i = 0; i < more; i++) {
        CHECK(read_frame(ahead[i].data, ahead[i].len) == echo.nb_told);
        echo.told[echo.nb_told++ % FIFO] = ahead[i];
        echo.nb_ahead++;
    }
}

/* Send further replies, in spare frames. */
static void caller_add(unsigned most)
{
    unsigned before = bed.nb_held;
    unsigned nb = bed_alloc(most);

    for (unsigned i = before; i < before + nb; i++) {
        uint64_t number = EXTRA | (echo.nb_seen + i);
        bed.held[i].len = len_of(number);
        write_frame(bed.held[i].data, number);
    }
}

/* Return false if the ring is full. */
static bool caller_send(unsigned nb)
{
    uint64_t numbers[HELD_MAX + 2 * BURST];

    for (unsigned i = 0; i < nb; i++)
        numbers[i] = read_frame(bed.held[i].data, bed.held[i].len);
    unsigned nb_tx = bed_tx_burst(nb);
    for (unsigned i = 0; i < nb_tx; i++)
        echo.expected[echo.nb_left++ % FIFO] = numbers[i];
    return nb_tx == nb;
}

static void caller_turn(unsigned most)
{
    caller_receive(most);
    if (up_to(4) == 1 && bed.nb_held < HELD_MAX)
        caller_add(up_to(BURST));
    while (bed.nb_held > 0) {
        unsigned nb = up_to(bed.nb_held);
        if (up_to(8) == 1)
            bed_free(nb);
        else if (!caller_send(nb))
            return;
    }
}

/* ---- together ---- */

static void open_echo(const struct kind *kind)
{
    echo = (struct echo){.kind = *kind, .random = kind->size + kind->features};
    netdev_bed_open(kind->size, kind->features, START);
    /* Calls for rx would be made there; for frames sent there are no calls (vhost_front.c). */
    bed.device[TRANSPORT_RX]->call_fd = eventfd(0, EFD_NONBLOCK);
    CHECK(bed.device[TRANSPORT_RX]->call_fd >= 0);
    loose_start(&echo.rx, TRANSPORT_RX);
    loose_start(&echo.tx, TRANSPORT_TX);
}

static void close_echo(void)
{
    while (echo.nb_arrived < echo.nb_left || bed.nb_held > 0) {
        caller_turn(BURST);
        device_receive(BURST);
    }
    while (!keeps_order() && echo.tx.nb_have > 0)
        loose_return(&echo.tx, BURST);
    bed_check_none_lost();
    CHECK(echo.nb_ahead > 0);
    CHECK(echo.nb_seen == echo.nb_sent && echo.nb_sent == echo.kind.nb_wanted);
    for (unsigned i = 0; i < TRANSPORT_RINGS; i++) {
        CHECK(bed.device[i]->nb_bad_descriptor == 0 && !bed.device[i]->broken);
        CHECK(bed.device[i]->nb_calls == 0 && bed.nb_kicks[i] == 0);
    }
    CHECK(bed.nb_waits == 0);
    close(bed.device[TRANSPORT_RX]->call_fd);
    netdev_bed_close();
}

static void test_echo(const void *argument)
{
    open_echo(argument);
    while (echo.nb_seen < echo.kind.nb_wanted) {
        device_send(up_to(BURST));
        caller_turn(up_to(BURST));
        device_receive(up_to(BURST));
    }
    close_echo();
}

/* A burst never takes more entries than the smallest ring has, and the device takes it at once.
 * Then no frame is refused, although traffic never pauses. */
static void test_none_refused(const void *argument)
{
    struct datapath_stats stats;

    open_echo(argument);
    while (echo.nb_seen < echo.kind.nb_wanted) {
        device_send(BURST);
        caller_receive(up_to(BURST / 2));
        caller_add(up_to(BURST / 2));
        CHECK(caller_send(bed.nb_held));
        device_receive(BURST);
        while (!keeps_order() && echo.tx.nb_have > 0)
            loose_return(&echo.tx, BURST);
    }
    frames_stats(bed.frames, &stats);
    CHECK(stats.nb_tx_errors == 0 && stats.nb_rx_errors == 0);
    close_echo();
}

int main(int argc, char **argv)
{
    static const uint64_t features[] = {0, BED_IN_ORDER, BED_EVENT_IDX,
                                        BED_IN_ORDER | BED_EVENT_IDX};
    static const uint32_t sizes[] = {64, 256, 1024};
    const char *is_long = getenv("NEARMETAL_TEST_LONG");
    uint64_t nb = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;

    if (is_long != NULL && is_long[0] == '1')
        nb = 10000000;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (unsigned j = 0; j < sizeof(features) / sizeof(features[0]); j++) {
            struct kind kind = {sizes[i], features[j], sizes[i] < 256 ? nb / 10 : nb};
            char name[80];
            snprintf(name, sizeof(name), "echo, ring of %u, features %#" PRIx64, kind.size,
                     kind.features);
            netdev_bed_alone(name, test_echo, &kind);
            kind.nb_wanted = 100000;
            netdev_bed_alone(name, test_none_refused, &kind);
        }
    }
    return 0;
}
