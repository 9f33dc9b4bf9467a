/* SPDX-License-Identifier: BSD-3-Clause */
#include "faults.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "faults_plan.h"
#include "random.h"

#define BURST 64u
#define NB_BUFFERS 1024u      /* of a direction */
#define HOLD_NS 1000000u      /* longest wait of a reordered frame */
#define REORDER_FRAMES_MAX 8u /* how many frames may overtake one */
#define REORDERED_MAX 16u     /* held at a time */
#define ETHERTYPE_AT 12u

struct buffer {
    uint32_t len;
    uint32_t overtakes; /* reordered: so many more frames may overtake it */
    uint64_t due_ns;    /* reordered, delayed: passed on by then */
    bool counted;       /* an IPv4 frame, which the counters include */
    uint8_t data[WIRE_FRAME_BYTES_MAX];
};

/* Buffer indices, first in, first out. */
struct queue {
    uint32_t head, nb;
    uint16_t index[NB_BUFFERS];
};

struct direction {
    struct random random;
    struct fault_counts counts; /* held is computed */
    struct queue free, ready, delayed;
    uint32_t nb_reordered;
    uint16_t reordered[REORDERED_MAX]; /* oldest first */
    struct buffer buffers[NB_BUFFERS];
};

struct faults {
    struct wire *wire;
    struct faults_plan plan;
    struct direction tx, rx;
    uint32_t nb_out; /* received frames that the caller owns */
    uint16_t out[NB_BUFFERS];
    uint8_t rooms[BURST][WIRE_FRAME_BYTES_MAX];
};

static void queue_put(struct queue *queue, uint16_t index)
{
    assert(queue->nb < NB_BUFFERS);
    queue->index[(queue->head + queue->nb++) % NB_BUFFERS] = index;
}

static uint16_t queue_take(struct queue *queue)
{
    uint16_t index = queue->index[queue->head];

    assert(queue->nb > 0);
    queue->head = (queue->head + 1) % NB_BUFFERS;
    queue->nb--;
    return index;
}

static void direction_init(struct direction *direction, uint64_t seed)
{
    direction->random.state = seed;
    for (uint32_t i = 0; i < NB_BUFFERS; i++)
        queue_put(&direction->free, (uint16_t)i);
}

/* Number of frames that can still be taken: each uses two buffers at most. */
static unsigned direction_room(const struct direction *direction)
{
    return direction->free.nb / 2;
}

static uint16_t copy_make(struct direction *direction, const struct wire_frame *frame, bool counted)
{
    uint16_t index = queue_take(&direction->free);
    struct buffer *buffer = &direction->buffers[index];

    buffer->len = frame->len < WIRE_FRAME_BYTES_MAX ? frame->len : WIRE_FRAME_BYTES_MAX;
    buffer->counted = counted;
    memcpy(buffer->data, frame->data, buffer->len);
    return index;
}

static void reordered_release(struct direction *direction, uint32_t at)
{
    queue_put(&direction->ready, direction->reordered[at]);
    direction->nb_reordered--;
    memmove(&direction->reordered[at], &direction->reordered[at + 1],
            (direction->nb_reordered - at) * sizeof(direction->reordered[0]));
}

/* Pass a frame on, and release the held frames that have been overtaken often enough. */
static void pass(struct direction *direction, uint16_t index)
{
    queue_put(&direction->ready, index);
    for (uint32_t i = 0; i < direction->nb_reordered;) {
        if (--direction->buffers[direction->reordered[i]].overtakes == 0)
            reordered_release(direction, i);
        else
            i++;
    }
}

static void reorder(struct direction *direction, uint16_t index, uint64_t draw, uint64_t now_ns)
{
    struct buffer *buffer = &direction->buffers[index];

    buffer->overtakes = 1 + random_scale((uint32_t)draw, REORDER_FRAMES_MAX);
    buffer->due_ns = now_ns + HOLD_NS;
    if (direction->nb_reordered == REORDERED_MAX)
        reordered_release(direction, 0);
    direction->reordered[direction->nb_reordered++] = index;
}

static void flip(struct buffer *buffer, uint64_t draw)
{
    uint32_t bit = random_scale((uint32_t)draw, 8 * buffer->len);

    buffer->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
}

static bool is_ipv4(const struct wire_frame *frame)
{
    return frame->len > ETHERTYPE_AT + 1 && frame->data[ETHERTYPE_AT] == 0x08 &&
           frame->data[ETHERTYPE_AT + 1] == 0x00;
}

/* Apply at most one fault to a frame. Always draw two numbers, so that the schedule of later frames
 * does not depend on the fault. */
static void frame_take(struct direction *direction, const struct faults_plan *plan,
                       const struct wire_frame *frame, uint64_t now_ns)
{
    uint64_t which, detail;
    uint16_t index;

    if (!is_ipv4(frame)) {
        queue_put(&direction->ready, copy_make(direction, frame, false));
        return;
    }
    which = random_next(&direction->random);
    detail = random_next(&direction->random);
    direction->counts.frames++;
    index = copy_make(direction, frame, true);
    switch (faults_plan_draw(plan, (uint32_t)(which >> 32))) {
    case FAULT_LOSS:
        direction->counts.lost++;
        queue_put(&direction->free, index);
        return;
    case FAULT_DUPLICATE:
        direction->counts.duplicated++;
        queue_put(&direction->ready, copy_make(direction, frame, true));
        break;
    case FAULT_REORDER:
        direction->counts.reordered++;
        reorder(direction, index, detail >> 32, now_ns);
        return;
    case FAULT_CORRUPT:
        direction->counts.corrupted++;
        flip(&direction->buffers[index], detail >> 32);
        break;
    case FAULT_DELAY:
        direction->counts.delayed++;
        direction->buffers[index].due_ns = now_ns + plan->delay_ns;
        queue_put(&direction->delayed, index);
        return;
    case NB_FAULTS: /* none */
        break;
    }
    pass(direction, index);
}

/* Release frames that are due. All delays are the same, so the first in is the first due. */
static void due_release(struct direction *direction, uint64_t now_ns)
{
    while (direction->nb_reordered > 0 &&
           direction->buffers[direction->reordered[0]].due_ns <= now_ns)
        reordered_release(direction, 0);
    while (direction->delayed.nb > 0 &&
           direction->buffers[direction->delayed.index[direction->delayed.head]].due_ns <= now_ns)
        queue_put(&direction->ready, queue_take(&direction->delayed));
}

/* Move frames into rooms of the wire; returns how many rooms were filled. */
static unsigned rooms_fill(struct direction *tx, struct wire_frame *rooms, unsigned nb_rooms)
{
    unsigned nb = 0;

    while (nb < nb_rooms && tx->ready.nb > 0) {
        uint16_t index = queue_take(&tx->ready);
        const struct buffer *buffer = &tx->buffers[index];

        queue_put(&tx->free, index);
        if (buffer->len > rooms[nb].len) { /* too long for this wire */
            tx->counts.lost += buffer->counted;
            continue;
        }
        memcpy(rooms[nb].data, buffer->data, buffer->len);
        rooms[nb++].len = buffer->len;
        tx->counts.passed += buffer->counted;
    }
    return nb;
}

static void tx_flush(struct faults *faults, uint64_t now_ns)
{
    struct direction *tx = &faults->tx;
    struct wire_frame rooms[BURST];

    due_release(tx, now_ns);
    while (tx->ready.nb > 0) {
        unsigned nb = tx->ready.nb < BURST ? tx->ready.nb : BURST;

        nb = wire_lend(faults->wire, rooms, nb);
        if (nb == 0)
            return;
        nb = rooms_fill(tx, rooms, nb);
        if (nb > 0)
            wire_send(faults->wire, rooms, nb);
    }
}

const char *faults_open(struct faults **out, const char *text, uint64_t seed, struct wire *wire)
{
    struct random random = {.state = seed};
    struct faults *faults = calloc(1, sizeof(*faults));
    const char *why;

    if (faults == NULL)
        return "out of memory";
    why = faults_plan_parse(&faults->plan, text);
    if (why != NULL) {
        free(faults);
        return why;
    }
    faults->wire = wire;
    direction_init(&faults->tx, random_next(&random));
    direction_init(&faults->rx, random_next(&random));
    *out = faults;
    return NULL;
}

const char *faults_check(const char *text)
{
    struct faults_plan plan;

    return faults_plan_parse(&plan, text);
}

unsigned faults_lend(struct faults *faults, struct wire_frame *rooms, unsigned nb)
{
    unsigned room = direction_room(&faults->tx);

    nb = nb < BURST ? nb : BURST;
    nb = nb < room ? nb : room;
    for (unsigned i = 0; i < nb; i++)
        rooms[i] = (struct wire_frame){faults->rooms[i], WIRE_FRAME_BYTES_MAX};
    return nb;
}

void faults_send(struct faults *faults, const struct wire_frame *frames, unsigned nb)
{
    uint64_t now_ns = clock_ns();

    assert(nb <= direction_room(&faults->tx));
    for (unsigned i = 0; i < nb; i++)
        frame_take(&faults->tx, &faults->plan, &frames[i], now_ns);
    tx_flush(faults, now_ns);
}

static void rx_take(struct faults *faults, uint64_t now_ns)
{
    struct wire_frame frames[BURST];
    unsigned room = direction_room(&faults->rx);
    unsigned nb = wire_receive(faults->wire, frames, room < BURST ? room : BURST);

    for (unsigned i = 0; i < nb; i++)
        frame_take(&faults->rx, &faults->plan, &frames[i], now_ns);
    wire_return(faults->wire);
    due_release(&faults->rx, now_ns);
}

unsigned faults_receive(struct faults *faults, struct wire_frame *frames, unsigned nb)
{
    struct direction *rx = &faults->rx;
    uint64_t now_ns = clock_ns();
    unsigned got = 0;

    tx_flush(faults, now_ns); /* held frames are sent even if nothing new is sent */
    rx_take(faults, now_ns);
    for (; got < nb && rx->ready.nb > 0; got++) {
        uint16_t index = queue_take(&rx->ready);
        struct buffer *buffer = &rx->buffers[index];

        faults->out[faults->nb_out++] = index;
        rx->counts.passed += buffer->counted;
        frames[got] = (struct wire_frame){buffer->data, buffer->len};
    }
    return got;
}

void faults_return(struct faults *faults)
{
    while (faults->nb_out > 0)
        queue_put(&faults->rx.free, faults->out[--faults->nb_out]);
}

void faults_stats(const struct faults *faults, struct faults_stats *stats)
{
    stats->tx = faults->tx.counts;
    stats->rx = faults->rx.counts;
    stats->tx.held = stats->tx.frames + stats->tx.duplicated - stats->tx.lost - stats->tx.passed;
    stats->rx.held = stats->rx.frames + stats->rx.duplicated - stats->rx.lost - stats->rx.passed;
}

void faults_close(struct faults *faults)
{
    free(faults);
}
