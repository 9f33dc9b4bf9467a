/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datapath `netdev`: whole frames straight on the virtio ring, with nothing in between (virtio 1.1,
 * 5.1; split rings, one queue pair, no offloads, buffers not mergeable).
 *
 * One descriptor a frame. A buffer that a request came in is the buffer its reply leaves in, and
 * when the device has read it, it is a room for a request again: no copy, no allocation. As many
 * buffers as a ring has places are on their way round, in the same order every time, so under
 * IN_ORDER descriptors and available entries are what they were a round ago, and only their number
 * is published. The few spare ones are for replies of several datagrams.
 *
 *                  frames_rx_burst            frames_tx_burst
 *      rx ring ----------------->  the caller ----------------> tx ring
 *         ^                           | frames_free                |
 *         |                           v                            |
 *         +---------------------------+<---------------------------+ recycle
 *
 * Memory. Each buffer begins with the virtio-net header in a cache line of its own, which is all
 * the same in both directions and so is written once and then shared by both sides; the frame
 * begins the next line (see docs/rungs.md). What the device wrote, lengths and numbers of
 * descriptors, is checked before use; frames' bytes are net/'s to check. A ring that breaks the
 * rules is left alone until the transport brings another.
 */
#include "frames.h"

#include "clock.h"
#include "transport.h"
#include "vring_driver.h"

#define RING_SIZE_MAX 1024u
#define NB_SPARES 128u /* the caller holds 64 of them, so that 64 may be on their way */
#define NB_BUFFERS_MAX (RING_SIZE_MAX + NB_SPARES)
#define LINE_BYTES 64u
/* From one buffer to the next: an odd number of lines, because buffers that begin a power of two
 * apart would all want the same few places of a cache. */
#define STRIDE_BYTES 1600u
#define HEADER_OFFSET (LINE_BYTES - VIRTIO_NET_HEADER_BYTES) /* the frame is at LINE_BYTES */
#define ROOM_BYTES (VIRTIO_NET_HEADER_BYTES + FRAME_BYTES_MAX)
#define AHEAD 32u       /* frames fetched beyond the burst at hand */
#define RECYCLE_MIN 64u /* frames sent are looked after so many at a time */
#define KICK_TURNS 16u  /* where no turn is empty, a kick is thought of so often */

_Static_assert(HEADER_OFFSET + ROOM_BYTES <= STRIDE_BYTES, "a room fits its buffer");
_Static_assert(STRIDE_BYTES % LINE_BYTES == 0 && STRIDE_BYTES / LINE_BYTES % 2 == 1, "odd lines");

/* Where lwip stands on it, that is the datapath. */
__attribute__((weak)) const char datapath_name[] = "netdev";

/* What a descriptor says, and whether the device has it. Ours, so that nothing that the device may
 * have written there is believed. */
struct told {
    uint16_t buffer;
    uint16_t len;
    bool out;
};

/* A ring, and which buffer lies in which of its descriptors. */
struct queue {
    struct vring_driver driver;
    uint16_t order[RING_SIZE_MAX]; /* vring_driver's */
    uint16_t free[RING_SIZE_MAX];  /* descriptors in the order in which they came back */
    struct told told[RING_SIZE_MAX];
};

struct frames {
    struct transport transport;
    uint32_t generation; /* of the link that we know */
    bool up;
    uint32_t nb_buffers;
    uint32_t fetch_bytes; /* of each frame */
    struct queue rx, tx;
    unsigned nb_ahead;    /* of the frames that came, those whose lines were asked for already */
    unsigned nb_unkicked; /* turns that published something, since a kick was last thought of */
    unsigned nb_pool;
    uint16_t pool[NB_BUFFERS_MAX]; /* buffers that are nowhere else */
    uint64_t nb_rx_errors, nb_tx_errors;
};

/* ---- buffers and rings ---- */

static inline uint8_t *frame_at(const struct frames *frames, uint16_t buffer)
{
    return frames->transport.buffers + (size_t)buffer * STRIDE_BYTES + LINE_BYTES;
}

static inline struct frame frame_of(const struct frames *frames, uint16_t buffer, uint32_t len)
{
    return (struct frame){
        .data = frame_at(frames, buffer), .len = len, .buffer = (void *)(uintptr_t)buffer};
}

static inline uint16_t buffer_of(const struct frame *frame)
{
    return (uint16_t)(uintptr_t)frame->buffer;
}

static inline unsigned queue_room(const struct queue *queue)
{
    return queue->driver.ring.size - (uint16_t)(queue->driver.nb_offered - queue->driver.nb_taken);
}

/* The ring must have room. len: of the frame or the room, header included. */
static inline void queue_offer(struct frames *frames, struct queue *queue, uint16_t buffer,
                               uint32_t len)
{
    struct vring_driver *driver = &queue->driver;
    uint16_t place = driver->nb_offered & driver->mask;
    /* Under IN_ORDER a descriptor comes back before its place does. */
    uint16_t i = driver->in_order ? place : queue->free[place];
    struct told *told = &queue->told[i];

    if (__builtin_expect(told->buffer != buffer || told->len != len, 0)) {
        struct vring_desc *desc = &driver->ring.desc[i];
        uint64_t at = frames->transport.buffers_device + (uint64_t)buffer * STRIDE_BYTES;
        atomic_store_explicit(&desc->addr, at + HEADER_OFFSET, memory_order_relaxed);
        atomic_store_explicit(&desc->len, len, memory_order_relaxed);
        told->buffer = buffer;
        told->len = (uint16_t)len;
    }
    told->out = true;
    vring_driver_offer(driver, i);
}

/* The next buffer that came back; *len as the device has it. False: the device gave back what it
 * had not, and the ring is broken. */
static inline bool queue_take(struct queue *queue, uint16_t *buffer, uint32_t *len)
{
    struct vring_driver *driver = &queue->driver;
    uint16_t place = driver->nb_taken & driver->mask;
    uint16_t i = vring_driver_take(driver, len);

    if (__builtin_expect(!queue->told[i].out, 0)) {
        driver->broken = true;
        return false;
    }
    queue->told[i].out = false;
    queue->free[place] = i;
    *buffer = queue->told[i].buffer;
    return true;
}

static void queue_start(struct frames *frames, struct queue *queue, const struct vring *ring,
                        uint64_t features, uint16_t flags)
{
    bool in_order = features >> VIRTIO_F_IN_ORDER & 1;

    vring_driver_init(&queue->driver, ring, queue->order, in_order);
    queue->driver.event_idx = features >> VIRTIO_F_EVENT_IDX & 1;
    vring_driver_poll(&queue->driver);
    for (uint16_t i = 0; i < ring->size; i++) {
        queue->free[(queue->driver.nb_offered + i) & queue->driver.mask] =
            (uint16_t)((queue->driver.nb_offered + i) & queue->driver.mask);
        queue->told[i] = (struct told){0};
        vring_driver_describe(&queue->driver, i, frames->transport.buffers_device + HEADER_OFFSET,
                              0, flags);
    }
}

/* The buffers of a ring that is no more. */
static void queue_reclaim(struct frames *frames, struct queue *queue)
{
    for (uint32_t i = 0; i < queue->driver.ring.size; i++) {
        if (queue->told[i].out)
            frames->pool[frames->nb_pool++] = queue->told[i].buffer;
        queue->told[i].out = false;
    }
}

/* ---- the link ---- */

/* Rooms for the device, as long as more than nb_kept spares remain. */
static void fill_rx(struct frames *frames, unsigned nb_kept)
{
    while (frames->nb_pool > nb_kept && queue_room(&frames->rx) > 0)
        queue_offer(frames, &frames->rx, frames->pool[--frames->nb_pool], ROOM_BYTES);
    vring_driver_publish(&frames->rx.driver);
}

/* What a device left in the headers that are never written again is not for the next one to read:
 * it might be offloads that were never agreed upon. */
static void clear_headers(const struct frames *frames)
{
    for (uint32_t i = 0; i < frames->nb_buffers; i++)
        __builtin_memset(frames->transport.buffers + (size_t)i * STRIDE_BYTES + HEADER_OFFSET, 0,
                         VIRTIO_NET_HEADER_BYTES);
}

/* Another generation: whatever the rings held is ours again, and where there is a device now, it
 * gets all rooms. Frames that the caller holds he still holds. */
static void renew(struct frames *frames)
{
    struct transport_link link;

    queue_reclaim(frames, &frames->rx);
    queue_reclaim(frames, &frames->tx);
    transport_begin(&link);
    frames->generation = link.generation;
    frames->up = link.up;
    frames->nb_ahead = frames->nb_unkicked = 0;
    if (!link.up)
        return;
    clear_headers(frames);
    queue_start(frames, &frames->rx, &link.rings[TRANSPORT_RX], link.features, VRING_DESC_F_WRITE);
    queue_start(frames, &frames->tx, &link.rings[TRANSPORT_TX], link.features, 0);
    fill_rx(frames, NB_SPARES / 2);
    frames->nb_unkicked = 1;
}

static inline bool is_current(const struct frames *frames)
{
    return atomic_load_explicit(frames->transport.generation, memory_order_acquire) ==
           frames->generation;
}

static bool is_broken(const struct frames *frames)
{
    return frames->rx.driver.broken || frames->tx.driver.broken;
}

/* Once nothing more is to be done, or now and then: a device that sleeps is told of what it was
 * given. One that is awake needs no telling, and asking costs a fence. */
static void kick(struct frames *frames)
{
    frames->nb_unkicked = 0;
    if (vring_driver_kick_wanted(&frames->tx.driver))
        transport_kick(TRANSPORT_TX);
    if (vring_driver_kick_wanted(&frames->rx.driver))
        transport_kick(TRANSPORT_RX);
}

/* Buffers that were sent become rooms. */
static void recycle(struct frames *frames)
{
    uint16_t nb = vring_driver_used(&frames->tx.driver), buffer;
    uint32_t len;

    if (nb == 0)
        return;
    for (; nb > 0 && queue_take(&frames->tx, &buffer, &len); nb--) {
        if (queue_room(&frames->rx) > 0)
            queue_offer(frames, &frames->rx, buffer, ROOM_BYTES);
        else
            frames->pool[frames->nb_pool++] = buffer;
    }
    vring_driver_publish(&frames->rx.driver);
    frames->nb_unkicked += frames->nb_unkicked == 0; /* the device may be waiting for a room */
}

/* ---- frames.h ---- */

const char *frames_open(struct frames **out, const struct datapath_config *config)
{
    static struct frames frames;
    const char *error = transport_open(&frames.transport);

    *out = &frames;
    frames.fetch_bytes = FRAME_HEADERS_BYTES + config->fetch_bytes;
    if (error != NULL)
        return error;
    frames.nb_buffers = frames.transport.ring_size + NB_SPARES;
    if (frames.transport.ring_size > RING_SIZE_MAX ||
        frames.transport.buffers_bytes < (size_t)frames.nb_buffers * STRIDE_BYTES)
        return "the transport's memory does not suit its rings: at most 1,024 entries, and 1,600 "
               "bytes for each of them and 128 more";
    /* The last shall be first: the pool gives from its end. */
    for (uint32_t i = 0; i < frames.nb_buffers; i++)
        frames.pool[i] = (uint16_t)(frames.nb_buffers - 1 - i);
    frames.nb_pool = frames.nb_buffers;
    renew(&frames);
    return NULL;
}

void frames_mac(const struct frames *frames, uint8_t mac[6])
{
    __builtin_memcpy(mac, frames->transport.mac, 6);
}

uint64_t frames_tsc_hz(const struct frames *frames)
{
    (void)frames;
    return clock_tsc_hz();
}

#define ENTRIES_OF_LINE (LINE_BYTES / sizeof(struct vring_used_elem))

/* Ask for the lines of the frames that are to be taken next, those of the burst at hand and some
 * beyond: they travel while others are worked on. Likewise the lines on which the device counts and
 * we publish. */
static inline void fetch(struct frames *frames, unsigned nb_there, unsigned nb_wanted)
{
    const struct vring_driver *driver = &frames->rx.driver;
    unsigned nb = nb_wanted + AHEAD < nb_there ? nb_wanted + AHEAD : nb_there;

    for (unsigned i = frames->nb_ahead; i < nb; i += ENTRIES_OF_LINE)
        __builtin_prefetch(&driver->ring.used->ring[(driver->nb_taken + i) & driver->mask]);

    for (unsigned i = frames->nb_ahead; i < nb; i++) {
        uint16_t desc = vring_driver_peek(driver, (uint16_t)i);
        frame_prefetch(frame_at(frames, frames->rx.told[desc].buffer), frames->fetch_bytes);
    }
    frames->nb_ahead = nb > nb_wanted ? nb - nb_wanted : 0;
    vring_driver_fetch_avail(&frames->tx.driver);
    if (nb_there < nb_wanted + AHEAD)
        vring_driver_fetch_used(driver); /* the next burst will have to look */
}

/* Nothing came. */
static unsigned rest(struct frames *frames)
{
    if (frames->nb_unkicked > 0 && !is_broken(frames))
        kick(frames);
    return 0;
}

unsigned frames_rx_burst(struct frames *frames, struct frame *out, unsigned nb)
{
    struct vring_driver *driver = &frames->rx.driver;

    if (__builtin_expect(!is_current(frames), 0))
        renew(frames);
    if (__builtin_expect(!frames->up || is_broken(frames), 0))
        return 0;
    if (queue_room(&frames->tx) + RECYCLE_MIN <= frames->tx.driver.ring.size)
        recycle(frames);
    unsigned nb_there = vring_driver_used(driver);
    if (nb_there == 0) {
        if (queue_room(&frames->tx) < frames->tx.driver.ring.size)
            recycle(frames);
        return rest(frames);
    }
    nb = nb < nb_there ? nb : nb_there;
    fetch(frames, nb_there, nb);
    uint16_t before = driver->nb_taken;
    for (unsigned i = 0; i < nb; i++) {
        uint32_t len;
        uint16_t buffer;
        if (__builtin_expect(!queue_take(&frames->rx, &buffer, &len), 0))
            return i;
        /* A length that cannot be is no frame's: net/ drops what is longer than one. */
        out[i] = frame_of(frames, buffer, len - VIRTIO_NET_HEADER_BYTES);
    }
    if (__builtin_expect((uint16_t)(before ^ driver->nb_taken) & VRING_EVENT_AGAIN, 0))
        vring_driver_poll(driver);
    if (__builtin_expect(frames->nb_unkicked >= KICK_TURNS, 0))
        kick(frames);
    return nb;
}

unsigned frames_alloc(struct frames *frames, struct frame *out, unsigned nb)
{
    if (frames->nb_pool < nb && frames->up && !is_broken(frames))
        recycle(frames);
    nb = nb < frames->nb_pool ? nb : frames->nb_pool;
    for (unsigned i = 0; i < nb; i++)
        out[i] = frame_of(frames, frames->pool[--frames->nb_pool], 0);
    return nb;
}

unsigned frames_tx_burst(struct frames *frames, const struct frame *list, unsigned nb)
{
    bool works = frames->up && !is_broken(frames);

    if (__builtin_expect(works && queue_room(&frames->tx) < nb, 0)) {
        recycle(frames);
        works = !is_broken(frames);
    }
    unsigned room = works ? queue_room(&frames->tx) : 0, nb_tx = nb < room ? nb : room;
    for (unsigned i = 0; i < nb_tx; i++)
        queue_offer(frames, &frames->tx, buffer_of(&list[i]),
                    list[i].len + VIRTIO_NET_HEADER_BYTES);
    vring_driver_publish(&frames->tx.driver);
    frames->nb_unkicked += nb_tx > 0;
    frames->nb_tx_errors += nb_tx < nb;
    return nb_tx;
}

void frames_free(struct frames *frames, const struct frame *list, unsigned nb)
{
    bool works = frames->up && !is_broken(frames);

    for (unsigned i = 0; i < nb; i++) {
        if (works && queue_room(&frames->rx) > 0)
            queue_offer(frames, &frames->rx, buffer_of(&list[i]), ROOM_BYTES);
        else
            frames->pool[frames->nb_pool++] = buffer_of(&list[i]);
    }
    if (works) {
        vring_driver_publish(&frames->rx.driver);
        frames->nb_unkicked++;
    }
}

void frames_wait(struct frames *frames, uint64_t ns)
{
    struct vring_driver *driver = &frames->rx.driver;
    bool works = frames->up && !is_broken(frames);

    /* Without a room the device could not call us: all may be frames that it has not read yet. */
    if (works && queue_room(&frames->rx) == driver->ring.size) {
        fill_rx(frames, NB_SPARES / 4);
        frames->nb_unkicked++;
    }
    if (works && frames->nb_unkicked > 0)
        kick(frames);
    if ((!works || !vring_driver_want_call(driver)) && is_current(frames))
        transport_wait(ns);
    if (works)
        vring_driver_poll(driver);
}

void frames_stats(const struct frames *frames, struct datapath_stats *stats)
{
    stats->nb_syscalls = transport_syscalls();
    stats->nb_rx_errors = frames->nb_rx_errors;
    stats->nb_tx_errors = frames->nb_tx_errors;
}

void frames_close(struct frames *frames)
{
    frames->up = false; /* the device is the transport's */
}
