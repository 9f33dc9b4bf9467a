/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datapath `netdev`: whole frames directly on the virtio ring, with nothing in between (virtio 1.1,
 * 5.1; split rings, one queue pair, no offloads, buffers not mergeable).
 *
 * One descriptor per frame. A reply is sent in the buffer of its request, and when the device has
 * read it, the buffer is posted as a room for a request again: no copy, no allocation. As many
 * buffers as a ring has places circulate in the same order every time. Therefore under IN_ORDER
 * descriptors and available entries do not change from round to round, and only their number is
 * published. The few spare buffers are for replies of several datagrams.
 *
 *                  frames_rx_burst            frames_tx_burst
 *      rx ring ----------------->  the caller ----------------> tx ring
 *         ^                           | frames_free                |
 *         |                           v                            |
 *         +---------------------------+<---------------------------+ recycle
 *
 * Memory. Each buffer begins with the virtio-net header in a cache line of its own. The header is
 * the same in both directions, so it is written once and its line is then shared by both sides; the
 * frame begins the next line (see docs/rungs.md). Lengths and descriptor numbers that the device
 * writes are checked before use; the bytes of frames are checked by frames/. A ring that breaks the
 * rules is not used until the transport brings a new one.
 */
#include "frames.h"

#include "clock.h"
#include "fetch.h"
#include "netdev_queue.h"
#include "transport.h"

#define AHEAD 32u         /* frames prefetched beyond the current burst */
#define RECYCLE_SOON 128u /* start prefetching the used index this many frames before recycle() */
#define KICK_TURNS 16u    /* under load, test for a wanted kick every 16 turns */

/* Weak: with lwIP on top, the datapath is named lwip. */
__attribute__((weak)) const char datapath_name[] = "netdev";

struct frames {
    struct transport transport;
    uint32_t generation; /* generation of the link in use */
    bool up;
    uint32_t nb_buffers;
    struct queue rx, tx;
    unsigned nb_ahead;    /* received frames whose lines are already prefetched */
    unsigned nb_told;     /* of them: already reported by frames_ahead */
    unsigned nb_unkicked; /* turns that published something since the last test for a kick */
    unsigned nb_pool;
    uint16_t pool[NETDEV_BUFFERS_MAX]; /* buffers that are in no ring and not with the caller */
    uint64_t nb_broken;                /* earlier links whose device broke the rules */
    uint64_t nb_tx_errors;             /* bursts that were not taken whole */
};

/* ---- buffers ---- */

static inline uint8_t *frame_at(const struct frames *frames, uint16_t buffer)
{
    return frames->transport.buffers + (size_t)buffer * NETDEV_STRIDE_BYTES + NETDEV_FRAME_OFFSET;
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

/* ---- the link ---- */

/* Post rooms to the device while more than nb_kept spares remain. */
static void fill_rx(struct frames *frames, unsigned nb_kept)
{
    while (frames->nb_pool > nb_kept && queue_room(&frames->rx) > 0)
        queue_offer(&frames->rx, frames->pool[--frames->nb_pool], NETDEV_ROOM_BYTES);
    vring_driver_publish(&frames->rx.driver);
}

/* Clear the headers, which are never written again: a device may have left something in them that
 * the next device would read as offloads that were never negotiated. */
static void clear_headers(const struct frames *frames)
{
    for (uint32_t i = 0; i < frames->nb_buffers; i++)
        __builtin_memset(frames->transport.buffers + (size_t)i * NETDEV_STRIDE_BYTES +
                             NETDEV_HEADER_OFFSET,
                         0, VIRTIO_NET_HEADER_BYTES);
}

static bool is_broken(const struct frames *frames)
{
    return frames->rx.driver.broken || frames->tx.driver.broken;
}

/* Begin a new link: take back all buffers of the old rings, and, if there is a device, post all
 * rooms to it. The caller still owns the frames that it holds. */
static void renew(struct frames *frames)
{
    struct transport_link link;

    frames->nb_broken += is_broken(frames);
    frames->rx.driver.broken = frames->tx.driver.broken = false;
    frames->nb_pool += queue_reclaim(&frames->rx, frames->pool + frames->nb_pool);
    frames->nb_pool += queue_reclaim(&frames->tx, frames->pool + frames->nb_pool);
    transport_begin(&link);
    frames->generation = link.generation;
    frames->up = link.up;
    frames->nb_ahead = frames->nb_told = frames->nb_unkicked = 0;
    if (!link.up)
        return;
    clear_headers(frames);
    uint64_t first = frames->transport.buffers_device + NETDEV_HEADER_OFFSET;
    queue_start(&frames->rx, &link.rings[TRANSPORT_RX], first, link.features, VRING_DESC_F_WRITE);
    queue_start(&frames->tx, &link.rings[TRANSPORT_TX], first, link.features, 0);
    fill_rx(frames, NETDEV_SPARES / 2);
    frames->nb_unkicked = 1;
}

static inline bool is_current(const struct frames *frames)
{
    return atomic_load_explicit(frames->transport.generation, memory_order_acquire) ==
           frames->generation;
}

/* Kick a device that wants it. Called when there is nothing else to do, and now and then under
 * load: the test costs a fence, and a device that polls needs no kick. */
static void kick(struct frames *frames)
{
    frames->nb_unkicked = 0;
    if (vring_driver_kick_wanted(&frames->tx.driver))
        transport_kick(TRANSPORT_TX);
    if (vring_driver_kick_wanted(&frames->rx.driver))
        transport_kick(TRANSPORT_RX);
}

/* Post the buffers of sent frames as rooms. */
static void recycle(struct frames *frames)
{
    struct vring_driver *tx = &frames->tx.driver;
    uint16_t nb = vring_driver_used(tx), before = tx->nb_taken, buffer;
    uint32_t len;

    if (nb == 0)
        return;
    for (; nb > 0 && queue_take(&frames->tx, &buffer, &len); nb--) {
        if (queue_room(&frames->rx) > 0)
            queue_offer(&frames->rx, buffer, NETDEV_ROOM_BYTES);
        else
            frames->pool[frames->nb_pool++] = buffer;
    }
    vring_driver_publish(&frames->rx.driver);
    if (__builtin_expect((before ^ tx->nb_taken) & VRING_EVENT_AGAIN, 0))
        vring_driver_poll(tx);
    frames->nb_unkicked += frames->nb_unkicked == 0; /* the device may be waiting for a room */
}

/* Recycle under load: many buffers at a time, because reading the device's index may transfer its
 * cache line. Except in small rings, there are enough rooms meanwhile. */
static inline void recycle_sometimes(struct frames *frames)
{
    uint32_t size = frames->tx.driver.ring.size, nb_sent = size - queue_room(&frames->tx);
    uint32_t most = vring_many(size);

    if (nb_sent >= most) {
        recycle(frames);
    } else if (nb_sent + RECYCLE_SOON >= most) {
        vring_driver_fetch_used(&frames->tx.driver);
        vring_driver_fetch_avail(&frames->rx.driver);
    }
}

/* ---- frames.h ---- */

const char *frames_open(struct frames **out, const struct datapath_config *config)
{
    static struct frames frames;
    const char *error = transport_open(&frames.transport);

    (void)config; /* the transport has all settings */
    *out = &frames;
    if (error != NULL)
        return error;
    frames.nb_buffers = frames.transport.ring_size + NETDEV_SPARES;
    if (frames.transport.ring_size > NETDEV_RING_MAX ||
        frames.transport.buffers_bytes < (size_t)frames.nb_buffers * NETDEV_STRIDE_BYTES)
        return "the transport's memory does not fit its rings: a ring has at most 1,024 entries, "
               "and each entry and 128 spares need 1,600 bytes";
    /* Fill backwards: frames_alloc pops from the end, so buffer 0 goes out first. */
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

#define ENTRIES_OF_LINE (NETDEV_LINE_BYTES / sizeof(struct vring_used_elem))

/*
 * Prefetch the lines of the frames to be taken next: those of the current burst and some beyond, so
 * that they are transferred while other frames are handled. Also prefetch the line of the device's
 * index and the line of the index that is published next.
 */
static inline void fetch(struct frames *frames, unsigned nb_there, unsigned nb_wanted)
{
    const struct vring_driver *driver = &frames->rx.driver;
    unsigned nb = nb_wanted + AHEAD < nb_there ? nb_wanted + AHEAD : nb_there;

    for (unsigned i = frames->nb_ahead; i < nb; i += ENTRIES_OF_LINE)
        __builtin_prefetch(&driver->ring.used->ring[(driver->nb_taken + i) & driver->mask]);

    for (unsigned i = frames->nb_ahead; i < nb; i++)
        fetch_to_write(frame_at(frames, queue_peek(&frames->rx, i)), FRAME_HEADERS_BYTES);
    frames->nb_ahead = nb > nb_wanted ? nb - nb_wanted : 0;
    frames->nb_told = frames->nb_told > nb_wanted ? frames->nb_told - nb_wanted : 0;
    vring_driver_fetch_avail(&frames->tx.driver);
    if (nb_there < nb_wanted + AHEAD)
        vring_driver_fetch_used(driver); /* the next burst will read the index */
}

/* Do the deferred work of an empty turn: recycle, kick. */
static unsigned rest(struct frames *frames)
{
    if (queue_room(&frames->tx) < frames->tx.driver.ring.size && !is_broken(frames))
        recycle(frames);
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
    recycle_sometimes(frames);
    unsigned nb_there = vring_driver_ready(driver, nb + AHEAD);
    if (nb_there == 0)
        return rest(frames);
    nb = nb < nb_there ? nb : nb_there;
    fetch(frames, nb_there, nb);
    uint16_t before = driver->nb_taken;
    for (unsigned i = 0; i < nb; i++) {
        uint32_t len;
        uint16_t buffer;
        if (__builtin_expect(!queue_take(&frames->rx, &buffer, &len), 0))
            return i;
        /* An impossible length wraps to a large one: frames/ drops frames longer than the limit. */
        out[i] = frame_of(frames, buffer, len - VIRTIO_NET_HEADER_BYTES);
    }
    if (__builtin_expect((uint16_t)(before ^ driver->nb_taken) & VRING_EVENT_AGAIN, 0))
        vring_driver_poll(driver);
    if (__builtin_expect(frames->nb_unkicked >= KICK_TURNS, 0))
        kick(frames);
    return nb;
}

unsigned frames_ahead(struct frames *frames, struct frame *out, unsigned nb)
{
    unsigned nb_new = frames->nb_ahead > frames->nb_told ? frames->nb_ahead - frames->nb_told : 0;

    nb = nb < nb_new ? nb : nb_new;
    for (unsigned i = 0; i < nb; i++) {
        uint32_t place =
            (frames->rx.driver.nb_taken + frames->nb_told + i) & frames->rx.driver.mask;
        uint32_t len = atomic_load_explicit(&frames->rx.driver.ring.used->ring[place].len,
                                            memory_order_relaxed);
        out[i] = frame_of(frames, queue_peek(&frames->rx, frames->nb_told + i),
                          len - VIRTIO_NET_HEADER_BYTES);
    }
    frames->nb_told += nb;
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
        queue_fetch(&frames->tx, i, buffer_of(&list[i]), list[i].len + VIRTIO_NET_HEADER_BYTES);
    for (unsigned i = 0; i < nb_tx; i++)
        queue_offer(&frames->tx, buffer_of(&list[i]), list[i].len + VIRTIO_NET_HEADER_BYTES);
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
            queue_offer(&frames->rx, buffer_of(&list[i]), NETDEV_ROOM_BYTES);
        else
            frames->pool[frames->nb_pool++] = buffer_of(&list[i]);
    }
    if (works) {
        vring_driver_publish(&frames->rx.driver);
        frames->nb_unkicked++;
    }
}

bool frames_wait(struct frames *frames, uint64_t ns)
{
    struct vring_driver *driver = &frames->rx.driver;
    bool works = frames->up && !is_broken(frames), is_woken = true;

    /* Without a posted room the device could not call: all may hold frames that it has not read. */
    if (works && queue_room(&frames->rx) == driver->ring.size) {
        fill_rx(frames, NETDEV_SPARES / 4);
        frames->nb_unkicked++;
    }
    if (works && frames->nb_unkicked > 0)
        kick(frames);
    if ((!works || !vring_driver_want_call(driver)) && is_current(frames))
        is_woken = transport_wait(ns);
    if (works)
        vring_driver_poll(driver);
    return is_woken;
}

void frames_stats(const struct frames *frames, struct datapath_stats *stats)
{
    stats->nb_syscalls = transport_syscalls();
    stats->nb_rx_errors = frames->nb_broken + is_broken(frames);
    stats->nb_tx_errors = frames->nb_tx_errors;
}

void frames_close(struct frames *frames)
{
    frames->up = false; /* the transport owns the device */
}
