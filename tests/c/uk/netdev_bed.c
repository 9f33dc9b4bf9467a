/* SPDX-License-Identifier: BSD-3-Clause */
/* A transport in heap memory: see netdev_bed.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "netdev_bed.h"

#define LINE_BYTES 64u

struct netdev_bed bed;

void netdev_bed_alone(const char *name, void (*run)(const void *), const void *argument)
{
    int status;
    pid_t child = fork();

    CHECK(child >= 0);
    if (child == 0) {
        run(argument);
        exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    if (status == 0)
        return;
    fprintf(stderr, "%s: failed\n", name); /* the process has printed the reason */
    exit(1);
}

/* ---- links ---- */

void netdev_bed_down(void)
{
    uint32_t generation = atomic_load(&bed.generation);

    CHECK(generation & 1);
    atomic_store(&bed.generation, generation + 1);
}

void netdev_bed_up(uint64_t features, uint16_t start)
{
    uint32_t generation = atomic_load(&bed.generation);

    CHECK(!(generation & 1) && bed.seen == generation);
    memset(bed.bytes, 0, (size_t)(bed.buffers - bed.bytes));
    bed.features = features;
    for (unsigned i = 0; i < TRANSPORT_RINGS; i++) {
        struct vhost_ring *device = bed.device[i];
        vring_publish(&bed.rings[i].used->idx, start);
        device->frames = i == TRANSPORT_TX;
        device->in_order = features & BED_IN_ORDER;
        device->event_idx = features & BED_EVENT_IDX;
        device->call_fd = -1;
        vhost_ring_start(device, &bed.rings[i]);
    }
    atomic_store(&bed.generation, generation + 1);
}

void netdev_bed_open(uint32_t size, uint64_t features, uint16_t start)
{
    const struct datapath_config config = {0};
    size_t rings_bytes = vhost_layout(NULL, size, bed.rings);
    size_t nb_bytes = rings_bytes + (size_t)(size + BED_NB_SPARES) * BED_BUFFER_BYTES;
    void *bytes;

    CHECK(posix_memalign(&bytes, VHOST_LAYOUT_PAGE_BYTES, nb_bytes) == 0);
    bed = (struct netdev_bed){
        .bytes = bytes, .buffers = (uint8_t *)bytes + rings_bytes, .nb_bytes = nb_bytes};
    bed.size = size;
    memset(bed.bytes, 0, nb_bytes);
    vhost_layout(bed.bytes, size, bed.rings);
    bed.memory.nb_regions = 1;
    bed.memory.regions[0] =
        (struct vhost_region){.guest = BED_GUEST, .bytes = nb_bytes, .host = bed.bytes};
    bed.is_held = calloc((nb_bytes + 2 * FRAME_BYTES_MAX) / LINE_BYTES, 1);
    CHECK(bed.is_held != NULL);
    for (unsigned i = 0; i < TRANSPORT_RINGS; i++) {
        bed.device[i] = calloc(1, sizeof(*bed.device[i]));
        CHECK(bed.device[i] != NULL);
    }
    netdev_bed_up(features, start);
    CHECK(frames_open(&bed.frames, &config) == NULL);
}

void netdev_bed_close(void)
{
    frames_close(bed.frames);
    for (unsigned i = 0; i < TRANSPORT_RINGS; i++)
        free(bed.device[i]);
    free(bed.is_held);
    free(bed.bytes);
}

/* ---- transport.h, clock.h ---- */

const char *transport_open(struct transport *transport)
{
    *transport =
        (struct transport){.generation = &bed.generation,
                           .buffers = bed.buffers,
                           .buffers_device = BED_GUEST + (uint64_t)(bed.buffers - bed.bytes),
                           .buffers_bytes = bed.nb_bytes - (size_t)(bed.buffers - bed.bytes),
                           .ring_size = bed.size,
                           .mac = {2, 0, 0, 0, 0, 1}};
    return NULL;
}

void transport_begin(struct transport_link *link)
{
    bed.seen = atomic_load(&bed.generation);
    *link = (struct transport_link){
        .up = bed.seen & 1, .generation = bed.seen, .features = bed.features};
    memcpy(link->rings, bed.rings, sizeof(bed.rings));
}

void transport_kick(unsigned ring)
{
    CHECK(ring < TRANSPORT_RINGS);
    bed.nb_kicks[ring]++;
}

bool transport_wait(uint64_t ns)
{
    CHECK(ns > 0);
    bed.nb_waits++;
    if (bed.during_wait != NULL)
        bed.during_wait();
    return true;
}

uint64_t transport_syscalls(void)
{
    return bed.nb_kicks[TRANSPORT_RX] + bed.nb_kicks[TRANSPORT_TX] + bed.nb_waits;
}

uint64_t clock_tsc_hz(void)
{
    return 1000000000;
}

/* ---- frames.h, with checks ---- */

/* Return the first line of a frame in the buffers: the whole frame must lie there. */
static size_t line_of(const uint8_t *data)
{
    size_t at = (size_t)(data - bed.buffers);

    CHECK(data >= bed.buffers && data + FRAME_BYTES_MAX <= bed.bytes + bed.nb_bytes);
    CHECK(at % LINE_BYTES == 0);
    return at / LINE_BYTES;
}

/* Check that every other frame begins at least a frame's size away. */
static void check_apart(size_t line)
{
    size_t most = FRAME_BYTES_MAX / LINE_BYTES;
    size_t from = line < most ? 0 : line - most;

    CHECK(memchr(bed.is_held + from, 1, line + most + 1 - from) == NULL);
}

static void hold(unsigned nb)
{
    CHECK(bed.nb_held + nb <= bed.size + BED_NB_SPARES);
    for (unsigned i = 0; i < nb; i++) {
        size_t line = line_of(bed.held[bed.nb_held].data);
        check_apart(line);
        bed.is_held[line] = 1;
        bed.nb_held++;
    }
}

static void let_go(unsigned nb)
{
    for (unsigned i = 0; i < nb; i++)
        bed.is_held[line_of(bed.held[i].data)] = 0;
    bed.nb_held -= nb;
    memmove(bed.held, bed.held + nb, bed.nb_held * sizeof(bed.held[0]));
}

bool bed_is_held(const uint8_t *data)
{
    return bed.is_held[line_of(data)];
}

unsigned bed_rx_burst(unsigned nb)
{
    unsigned room = BED_NB_BUFFERS_MAX - bed.nb_held;
    unsigned nb_rx;

    nb = nb < room ? nb : room;
    nb_rx = frames_rx_burst(bed.frames, bed.held + bed.nb_held, nb);
    CHECK(nb_rx <= nb);
    hold(nb_rx);
    return nb_rx;
}

unsigned bed_alloc(unsigned nb)
{
    unsigned room = BED_NB_BUFFERS_MAX - bed.nb_held;
    unsigned nb_blank;

    nb = nb < room ? nb : room;
    nb_blank = frames_alloc(bed.frames, bed.held + bed.nb_held, nb);
    CHECK(nb_blank <= nb);
    hold(nb_blank);
    return nb_blank;
}

unsigned bed_tx_burst(unsigned nb)
{
    unsigned nb_tx = frames_tx_burst(bed.frames, bed.held, nb);

    CHECK(nb_tx <= nb);
    let_go(nb_tx);
    return nb_tx;
}

void bed_free(unsigned nb)
{
    frames_free(bed.frames, bed.held, nb);
    let_go(nb);
}

void bed_free_all(void)
{
    bed_free(bed.nb_held);
}

void bed_check_none_lost(void)
{
    const struct vring *rx = &bed.rings[TRANSPORT_RX], *tx = &bed.rings[TRANSPORT_TX];

    CHECK(bed.nb_held == 0 && bed_rx_burst(1) == 0);
    uint16_t nb_rooms = (uint16_t)(vring_see(&rx->avail->idx) - vring_see(&rx->used->idx));
    CHECK(vring_see(&tx->avail->idx) == vring_see(&tx->used->idx));
    while (bed_alloc(64) > 0)
        ;
    CHECK(nb_rooms + bed.nb_held == bed.size + BED_NB_SPARES);
    bed_free_all();
}
