/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One ring of the device side: see vhost_ring.h. The hot path.
 *
 * Most time is spent on the transfer of cache lines between two cores: some 100 ns each, many at a
 * time. So lines are prefetched early: the descriptors of the whole burst, then the buffers, also
 * of frames behind the burst, before the caller touches the first. Lines that will be written next
 * are prefetched for writing: a frame's buffer is the room of a later frame.
 */
#include <assert.h>
#include <emmintrin.h>
#include <string.h>

#include "vhost_used.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Frames prefetched beyond those given to the caller: their lines are transferred while the caller
 * works on its burst. */
#define AHEAD 32u

#define CACHE_LINE 64u
#define USED_IN_LINE (CACHE_LINE / sizeof(struct vring_used_elem))

/* Prefetch a buffer's first two lines, with the headers, addresses and first bytes of payload. For
 * a frame, also the last line, which is often the third. */
static inline void prefetch_buffer(const uint8_t *data, const uint8_t *last)
{
    vring_prefetch_write(data);
    vring_prefetch_write(data + CACHE_LINE);
    vring_prefetch_write(last);
}

void vhost_ring_start(struct vhost_ring *ring, const struct vring *vring)
{
    uint16_t used = vring_see(&vring->used->idx);

    ring->vring = *vring;
    ring->mask = vring->size - 1;
    ring->done = ring->given = ring->prepared = ring->fetched = ring->seen = used;
    ring->dropped = (uint16_t)(used - 1);
    ring->broken = ring->rests = false;
    vhost_ring_want_kicks(ring, false);
}

static inline struct vhost_frame *entry_of(struct vhost_ring *ring, uint16_t number)
{
    return &ring->entries[number % VHOST_AHEAD_MAX];
}

/* Return how many of nb more entries the driver has made available. */
static inline uint32_t look(struct vhost_ring *ring, uint32_t nb)
{
    uint16_t ready = (uint16_t)(ring->seen - ring->prepared);

    if (ready < nb) {
        uint16_t before = ring->seen;
        ring->seen = vring_see(&ring->vring.avail->idx);
        if (UNLIKELY((before ^ ring->seen) & VRING_EVENT_AGAIN && ring->event_idx))
            vhost_ring_want_kicks(ring, false);
        ready = (uint16_t)(ring->seen - ring->prepared);
        /* Too far ahead; or behind `prepared`, which wraps and is too far ahead as well. */
        if (UNLIKELY(ready + (uint32_t)(uint16_t)(ring->prepared - ring->done) >
                     ring->vring.size)) {
            ring->seen = ring->prepared;
            ring->broken = true;
            ring->nb_bad_index++;
            return 0;
        }
    }
    return ready < nb ? ready : nb;
}

/* The fields of a descriptor, read once. */
struct said {
    uint64_t addr;
    uint32_t len;
    uint16_t head, flags;
};

/* Prepare an entry that is not one valid descriptor in the last region, or that is of a legacy
 * driver. Returns false if it must wait, or if the ring is broken. */
static __attribute__((noinline)) bool
prepare_odd(struct vhost_ring *ring, struct vhost_memory *memory, uint16_t number, struct said said)
{
    struct vhost_frame *entry = entry_of(ring, number);
    uint16_t single = ring->frames ? 0 : VRING_DESC_F_WRITE;
    uint8_t *data = NULL;

    if (said.head > ring->mask) {
        ring->broken = true;
        ring->nb_bad_index++;
        return false;
    }
    entry->mark = ring->heads[number & ring->mask] = said.head;
    if (!ring->legacy && said.flags == single && vhost_length_sound(ring, said.len))
        data = vhost_memory_guest(memory, said.addr, said.len);
    if (data != NULL) {
        entry->data = data + VIRTIO_NET_HEADER_BYTES;
        entry->len = said.len - VIRTIO_NET_HEADER_BYTES;
        prefetch_buffer(entry->data, ring->frames ? data + said.len - 1 : data);
        return true;
    }
    if ((uint16_t)(number - ring->done) >= VHOST_CHAINS_MAX)
        return false;
    vhost_chain_prepare(ring, memory, number, entry);
    if (vhost_entry_kind(entry) == VHOST_DROPPED)
        ring->dropped = number;
    return true;
}

/* Prefetch the descriptors of nb entries: a line holds four, and most drivers use them in turn.
 * This is only a hint: descriptors are read and checked later. */
static inline void descriptors_fetch(const struct vhost_ring *ring, uint16_t number, uint32_t nb)
{
    const struct vring_desc *descs = ring->vring.desc;
    const struct vring_avail *avail = ring->vring.avail;

    for (uint32_t i = 0; i < nb; i += 4)
        __builtin_prefetch(&descs[atomic_load_explicit(&avail->ring[(number + i) & ring->mask],
                                                       memory_order_relaxed) &
                                  ring->mask]);
}

/* Store the whole entry at once: a load of the whole behind stores of its parts would stall. */
static inline void entry_write(struct vhost_frame *entry, uint8_t *data, uint32_t len,
                               uint32_t mark)
{
    _mm_storeu_si128(
        (__m128i *)(void *)entry,
        _mm_set_epi64x((long long)((uint64_t)mark << 32 | len), (long long)(uintptr_t)data));
}
_Static_assert(sizeof(struct vhost_frame) == 16 && offsetof(struct vhost_frame, len) == 8 &&
                   offsetof(struct vhost_frame, mark) == 12,
               "fits one vector register");

/* Return the region of the last address. If it is smaller than `most`, or the ring is a legacy one,
 * return a region that no address is in. */
static inline struct vhost_region region_last(const struct vhost_ring *ring,
                                              const struct vhost_memory *memory, uint32_t most)
{
    const struct vhost_region *region = &memory->regions[memory->last];

    if (LIKELY(region->bytes >= most && !ring->legacy))
        return *region;
    return (struct vhost_region){.guest = UINT64_MAX, .bytes = most};
}

/*
 * Check up to nb more entries, which the driver has made available. frames: ring->frames, a
 * constant at each call. Constants of the loop are copied to locals, so that they stay in
 * registers: to the compiler every store here might change them.
 */
static inline __attribute__((always_inline)) void
prepare(struct vhost_ring *ring, struct vhost_memory *memory, uint32_t nb, const bool frames)
{
    const uint16_t single = frames ? 0 : VRING_DESC_F_WRITE;
    const uint32_t mask = ring->mask;
    struct vring_desc *const descs = ring->vring.desc;
    const _Atomic uint16_t *const heads = ring->vring.avail->ring;
    const struct vring_used_elem *const used = ring->vring.used->ring;
    const uint32_t least = frames ? VHOST_FRAME_LEAST : VHOST_ROOM_LEAST;
    const uint32_t most = frames ? VHOST_FRAME_MOST : VHOST_ROOM_MOST;
    struct vhost_region region = region_last(ring, memory, most);
    uint32_t number = ring->prepared, end;

    for (end = number + nb; number != end; number++) {
        struct vhost_frame *entry = entry_of(ring, (uint16_t)number);
        uint16_t head = atomic_load_explicit(&heads[number & mask], memory_order_relaxed);
        struct vring_desc *desc = &descs[head & mask];
        uint64_t addr = atomic_load_explicit(&desc->addr, memory_order_relaxed);
        uint32_t len = atomic_load_explicit(&desc->len, memory_order_relaxed);
        uint16_t flags = atomic_load_explicit(&desc->flags, memory_order_relaxed);
        uint64_t offset = addr - region.guest;
        uint8_t *data = (uint8_t *)((uintptr_t)region.host + offset); /* valid only if inside */

        /* For addresses below the region, offset wraps and is large. */
        if (LIKELY(head <= mask && flags == single && len - least <= most - least &&
                   offset <= region.bytes - most)) {
            if (!frames && number % USED_IN_LINE == 0)
                __builtin_prefetch((const void *)&used[number & mask]);
            if (frames)
                ring->heads[number & mask] = head;
            entry_write(entry, data + VIRTIO_NET_HEADER_BYTES, len - VIRTIO_NET_HEADER_BYTES, head);
            prefetch_buffer(data + VIRTIO_NET_HEADER_BYTES, frames ? data + len - 1 : data);
            continue;
        }
        if (!prepare_odd(ring, memory, (uint16_t)number, (struct said){addr, len, head, flags}))
            break;
        region = region_last(ring, memory, most);
    }
    ring->prepared = (uint16_t)number;
}

/* Look for up to nb more entries, and check them. */
static inline __attribute__((always_inline)) void look_and_prepare(struct vhost_ring *ring,
                                                                   struct vhost_memory *memory,
                                                                   uint32_t nb, const bool frames)
{
    nb = look(ring, nb);
    descriptors_fetch(ring, ring->prepared, nb);
    prepare(ring, memory, nb, frames);
}

/* Call the driver, if it wants a call, after used.idx moved from `old` to done. */
static void call(struct vhost_ring *ring, uint16_t old)
{
    VRING_MOMENT("device: published");
    vring_fence();
    if (ring->event_idx ? !vring_event_passed(atomic_load_explicit(vring_used_event(&ring->vring),
                                                                   memory_order_relaxed),
                                              ring->done, old)
                        : atomic_load_explicit(&ring->vring.avail->flags, memory_order_relaxed) &
                              VRING_AVAIL_F_NO_INTERRUPT)
        return;
    VRING_MOMENT("device: knows that it must call");
    vhost_ring_call(ring);
}

static inline void publish(struct vhost_ring *ring, uint16_t done)
{
    uint16_t old = ring->done;

    ring->done = done;
    VRING_MOMENT("device: about to publish");
    vring_publish(&ring->vring.used->idx, done);
    if (ring->call_fd >= 0)
        call(ring, old);
}

static inline struct vring_used_elem *used_at(const struct vhost_ring *ring, uint16_t place)
{
    return &ring->vring.used->ring[place & ring->mask];
}

/* Write the header, if it changes: most drivers leave it unchanged, and the line stays in both
 * caches. */
static inline void write_header(uint8_t *at)
{
    static const struct virtio_net_header plain = {.nb_buffers = 1};

    if (memcmp(at, &plain, sizeof(plain)) != 0)
        memcpy(at, &plain, sizeof(plain));
}

/* Send one entry that is not in place. Returns whether it carried a frame of len bytes. */
static __attribute__((noinline)) bool send_odd(struct vhost_ring *ring, uint16_t number,
                                               uint32_t len)
{
    const struct vhost_frame *entry = entry_of(ring, number);
    bool dropped = vhost_entry_kind(entry) == VHOST_DROPPED;

    if (!dropped)
        vhost_chain_send(ring, number, len);
    vhost_used_set(used_at(ring, number), vhost_entry_head(entry),
                   dropped ? 0 : vhost_header_bytes(ring) + len);
    return !dropped;
}

void vhost_ring_send(struct vhost_ring *ring, const struct vhost_frame *frames, unsigned nb)
{
    struct vring_used_elem *const used = ring->vring.used->ring;
    const uint16_t prepared = ring->prepared;
    const uint32_t mask = ring->mask;
    uint16_t number = ring->done;
    struct vhost_used list;
    unsigned nb_sent = 0;

    list.nb = 0; /* the entries need no value */
    /* If the ring was reset since the rooms were lent, none is prepared: nothing is sent. */
    for (; number != prepared && nb_sent < nb; number++) {
        const struct vhost_frame *entry = entry_of(ring, number);
        uint32_t len = frames[nb_sent].len + VIRTIO_NET_HEADER_BYTES;

        assert(frames[nb_sent].len <= entry->len || vhost_entry_kind(entry) == VHOST_DROPPED);
        if (UNLIKELY(vhost_entry_kind(entry) != VHOST_IN_PLACE)) {
            nb_sent += send_odd(ring, number, frames[nb_sent].len);
            continue;
        }
        write_header(entry->data - VIRTIO_NET_HEADER_BYTES);
        vhost_used_list(&list, used, number & mask, vhost_entry_head(entry), len);
        nb_sent++;
    }
    vhost_used_write_all(&list, used);
    /* Dropped entries behind the last frame are returned with it. */
    for (; number != prepared && vhost_entry_kind(entry_of(ring, number)) == VHOST_DROPPED;
         number++)
        send_odd(ring, number, 0);
    ring->nb_frames += nb_sent;
    if (number != ring->done) {
        ring->given = number;
        publish(ring, number);
    }
}

/* Give up to nb entries from *number on, leaving out dropped ones. */
static inline unsigned entries_give(struct vhost_ring *ring, uint16_t *number,
                                    struct vhost_frame *frames, unsigned nb)
{
    const uint16_t prepared = ring->prepared;
    uint16_t i = *number;
    unsigned nb_given = 0, nb_here = (uint16_t)(prepared - i);

    nb = nb < nb_here ? nb : nb_here;
    if (LIKELY((uint16_t)(ring->dropped - i) >= nb_here)) { /* none of them is dropped */
        unsigned first = i % VHOST_AHEAD_MAX, unwrapped = VHOST_AHEAD_MAX - first;

        unwrapped = nb < unwrapped ? nb : unwrapped;
        memcpy(frames, ring->entries + first, unwrapped * sizeof(*frames));
        memcpy(frames + unwrapped, ring->entries, (nb - unwrapped) * sizeof(*frames));
        *number = (uint16_t)(i + nb);
        return nb;
    }
    for (; i != prepared && nb_given < nb; i++) {
        frames[nb_given] = *entry_of(ring, i);
        nb_given += vhost_entry_kind(&frames[nb_given]) != VHOST_DROPPED;
    }
    *number = i;
    return nb_given;
}

/* Return how many entries to have prepared when the caller wants nb. */
static inline uint32_t wanted(unsigned nb)
{
    return nb < VHOST_AHEAD_MAX - AHEAD ? nb + AHEAD : VHOST_AHEAD_MAX;
}

unsigned vhost_ring_lend(struct vhost_ring *ring, struct vhost_memory *memory,
                         struct vhost_frame *rooms, unsigned nb)
{
    uint16_t ready = (uint16_t)(ring->prepared - ring->done), number = ring->done;
    unsigned nb_rooms;

    if (ready < wanted(nb) && !ring->broken)
        look_and_prepare(ring, memory, wanted(nb) - ready, false);
    nb_rooms = entries_give(ring, &number, rooms, nb);
    ring->rests = nb_rooms == 0;
    if (UNLIKELY(nb_rooms == 0 && ring->done != ring->prepared))
        vhost_ring_send(ring, NULL, 0); /* all were dropped: return them */
    return nb_rooms;
}

unsigned vhost_ring_receive(struct vhost_ring *ring, struct vhost_memory *memory,
                            struct vhost_frame *frames, unsigned nb)
{
    uint16_t ready = (uint16_t)(ring->prepared - ring->given);
    unsigned nb_frames;

    if (ready < wanted(nb) && !ring->broken)
        look_and_prepare(ring, memory, wanted(nb) - ready, true);
    nb_frames = entries_give(ring, &ring->given, frames, nb);
    ring->nb_frames += nb_frames;
    ring->rests = nb_frames == 0;
    return nb_frames;
}

/* Two steps, in different calls, so that no call waits for descriptors: fetch those of all frames
 * that arrived, and then check a few at a time. */
void vhost_ring_ahead(struct vhost_ring *ring, struct vhost_memory *memory, unsigned nb)
{
    const uint32_t free = VHOST_AHEAD_MAX - (uint16_t)(ring->prepared - ring->given);
    uint32_t nb_fetched = (uint16_t)(ring->fetched - ring->prepared);

    if (ring->broken)
        return;
    /* None is left, or `prepared` went past them. */
    if (nb_fetched == 0 || nb_fetched > (uint16_t)(ring->seen - ring->prepared)) {
        nb_fetched = look(ring, free);
        descriptors_fetch(ring, ring->prepared, nb_fetched);
        ring->fetched = (uint16_t)(ring->prepared + nb_fetched);
        return;
    }
    nb = nb < nb_fetched ? nb : nb_fetched;
    prepare(ring, memory, nb < free ? nb : free, true);
}

void vhost_ring_return(struct vhost_ring *ring)
{
    uint16_t done = ring->done, given = ring->given;

    if (done == given)
        return;
    if (ring->in_order) {
        /* One entry in the first one's place, with the last one's head, returns all (2.6.9). */
        vhost_used_set(used_at(ring, done), ring->heads[(uint16_t)(given - 1) & ring->mask], 0);
    } else {
        for (uint16_t i = done; i != given; i++)
            vhost_used_set(used_at(ring, i), ring->heads[i & ring->mask], 0);
    }
    publish(ring, given);
}
