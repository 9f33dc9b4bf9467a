/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device side of a virtio-net: the messages of its front end.
 *
 * The front end describes memory and rings in several messages, may send each again, and chooses
 * the order (QEMU enables a ring before it gives its address). So each message is only noted, and
 * after each one the rings that are complete are started (rings_refresh). A message about a running
 * ring stops it first.
 */
#include <unistd.h>

#include "vhost_state.h"

#define BIT(n) (1ull << (n))
#define OFFERED                                                                                    \
    (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_IN_ORDER) | BIT(VIRTIO_F_EVENT_IDX) |                  \
     BIT(VHOST_USER_F_PROTOCOL_FEATURES))
#define OFFERED_PROTOCOL BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK)

static void ring_stop(struct vhost_device *device, unsigned i)
{
    struct vhost_ring *ring = &device->rings[i];
    struct told *told = &device->told[i];

    device->up = false;
    if (told->running)
        told->base = ring->done;
    told->running = false;
    ring->done = ring->given = ring->prepared = ring->seen = 0;
}

static void ring_start(struct vhost_device *device, unsigned i)
{
    struct told *told = &device->told[i];
    struct vhost_ring *ring = &device->rings[i];
    const struct vhost_user_addr *addr = &told->addr;
    struct vring at = {.size = told->size};

    at.desc = (void *)vhost_memory_user(&device->memory, addr->desc, vring_desc_bytes(at.size));
    at.avail = (void *)vhost_memory_user(&device->memory, addr->avail, vring_avail_bytes(at.size));
    at.used = (void *)vhost_memory_user(&device->memory, addr->used, vring_used_bytes(at.size));
    if (at.desc == NULL || at.avail == NULL || at.used == NULL)
        return;
    /* 2.6: aligned to 16, 2 and 4 bytes in the other side's address space. Mapping keeps the
     * offsets in a page. */
    if ((uintptr_t)at.desc % 16 != 0 || (uintptr_t)at.avail % 2 != 0 || (uintptr_t)at.used % 4 != 0)
        return;
    ring->frames = i == FRAMES;
    ring->in_order = device->features & BIT(VIRTIO_F_IN_ORDER);
    ring->event_idx = device->features & BIT(VIRTIO_F_EVENT_IDX);
    ring->legacy = !(device->features & BIT(VIRTIO_F_VERSION_1));
    vhost_ring_start(ring, &at);
    told->running = true;
}

static void rings_refresh(struct vhost_device *device)
{
    bool up = device->agreed;

    for (unsigned i = 0; i < NB_RINGS; i++) {
        struct told *told = &device->told[i];
        if (device->agreed && !told->running && told->size > 0 && told->has_addr && told->kicked)
            ring_start(device, i);
        up &= told->running && told->enabled && !device->rings[i].broken;
    }
    device->up = up;
}

void vhost_rings_stop(struct vhost_device *device)
{
    for (unsigned i = 0; i < NB_RINGS; i++)
        ring_stop(device, i);
}

static bool reply_u64(struct vhost_device *device, const struct vhost_user_message *to,
                      uint64_t value)
{
    struct vhost_user_message message = {
        .header = {to->header.request, VHOST_USER_VERSION | VHOST_USER_REPLY, sizeof(uint64_t)},
        .payload.u64 = value};

    return vhost_user_send(device->socket, &message);
}

/* Take the descriptor for ring `u64 & 0xff`, and close the one in *fd. */
static bool replace_fd(struct vhost_user_message *message, int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = message->payload.u64 & VHOST_USER_RING_NO_FD ? -1 : vhost_user_take(message, 0);
    return true;
}

/*
 * Note the descriptor, and call once. The previous device may have returned buffers and ended
 * before it called: a driver that sleeps would not wake. A call without need costs the driver one
 * check of its ring.
 */
static bool set_call(struct vhost_user_message *message, struct vhost_ring *ring)
{
    bool taken = replace_fd(message, &ring->call_fd);

    vhost_ring_call(ring);
    return taken;
}

static bool set_memory(struct vhost_device *device, struct vhost_user_message *message)
{
    vhost_rings_stop(device);
    vhost_memory_unmap(&device->retired);
    vhost_memory_retire(&device->memory);
    device->retired = device->memory;
    return vhost_memory_map(&device->memory, message);
}

static bool set_size(struct vhost_device *device, const struct vhost_user_state *state)
{
    ring_stop(device, state->ring);
    device->told[state->ring].size = 0;
    if (!vring_size_valid(state->value) || state->value > VHOST_RING_SIZE_MAX)
        return false;
    device->told[state->ring].size = state->value;
    return true;
}

static bool set_addr(struct vhost_device *device, const struct vhost_user_addr *addr)
{
    ring_stop(device, addr->ring);
    device->told[addr->ring].addr = *addr;
    device->told[addr->ring].has_addr = true;
    return true;
}

static bool set_kick(struct vhost_device *device, struct vhost_user_message *message, unsigned i)
{
    struct told *told = &device->told[i];

    told->kicked = true;
    /* Without protocol features, a started ring is also enabled. */
    if (!(device->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES)))
        told->enabled = true;
    return replace_fd(message, &told->kick_fd);
}

/* Stop the ring, and reply where the front end continues: at the first buffer not returned. */
static bool get_base(struct vhost_device *device, const struct vhost_user_message *message)
{
    uint32_t i = message->payload.state.ring;
    struct vhost_user_message reply = {.header = {message->header.request,
                                                  VHOST_USER_VERSION | VHOST_USER_REPLY,
                                                  sizeof(struct vhost_user_state)}};

    ring_stop(device, i);
    device->told[i].kicked = false;
    reply.payload.state = (struct vhost_user_state){i, device->told[i].base};
    return vhost_user_send(device->socket, &reply);
}

/* Whether the payload has the bytes of its request, and the ring that it names exists. */
static bool message_sound(const struct vhost_user_message *message)
{
    uint32_t bytes = message->header.bytes;

    switch (message->header.request) {
    case VHOST_USER_GET_FEATURES:
    case VHOST_USER_GET_PROTOCOL_FEATURES:
    case VHOST_USER_SET_OWNER:
    case VHOST_USER_RESET_OWNER:
    case VHOST_USER_SET_MEM_TABLE:
        return true;
    case VHOST_USER_SET_FEATURES:
    case VHOST_USER_SET_PROTOCOL_FEATURES:
        return bytes >= sizeof(uint64_t);
    case VHOST_USER_SET_VRING_KICK:
    case VHOST_USER_SET_VRING_CALL:
    case VHOST_USER_SET_VRING_ERR:
        return bytes >= sizeof(uint64_t) &&
               (message->payload.u64 & VHOST_USER_RING_MASK) < NB_RINGS;
    case VHOST_USER_SET_VRING_NUM:
    case VHOST_USER_SET_VRING_BASE:
    case VHOST_USER_GET_VRING_BASE:
    case VHOST_USER_SET_VRING_ENABLE:
        return bytes >= sizeof(struct vhost_user_state) && message->payload.state.ring < NB_RINGS;
    case VHOST_USER_SET_VRING_ADDR:
        return bytes >= sizeof(struct vhost_user_addr) && message->payload.addr.ring < NB_RINGS;
    default:
        return false; /* not offered */
    }
}

/* Handle one message. Returns false if it is invalid. *replied: the request has its own reply. */
static bool take_message(struct vhost_device *device, struct vhost_user_message *message,
                         bool *replied)
{
    const union vhost_user_payload *payload = &message->payload;
    unsigned i = payload->u64 & VHOST_USER_RING_MASK; /* valid after message_sound */

    if (!message_sound(message))
        return false;
    switch (message->header.request) {
    case VHOST_USER_GET_FEATURES:
        *replied = true;
        return reply_u64(device, message, OFFERED);
    case VHOST_USER_GET_PROTOCOL_FEATURES:
        *replied = true;
        return reply_u64(device, message, OFFERED_PROTOCOL);
    case VHOST_USER_GET_VRING_BASE:
        *replied = true;
        return get_base(device, message);
    case VHOST_USER_SET_FEATURES:
        device->features = payload->u64 & OFFERED;
        device->agreed = true;
        return true;
    case VHOST_USER_SET_PROTOCOL_FEATURES:
        device->protocol_features = payload->u64 & OFFERED_PROTOCOL;
        return true;
    case VHOST_USER_SET_MEM_TABLE:
        return set_memory(device, message);
    case VHOST_USER_SET_VRING_NUM:
        return set_size(device, &payload->state);
    case VHOST_USER_SET_VRING_ADDR:
        return set_addr(device, &payload->addr);
    case VHOST_USER_SET_VRING_KICK:
        return set_kick(device, message, i);
    case VHOST_USER_SET_VRING_CALL:
        return set_call(message, &device->rings[i]);
    case VHOST_USER_SET_VRING_ENABLE:
        device->told[i].enabled = payload->state.value == 1;
        return true;
    default: /* no effect: OWNER, BASE (rings continue at used.idx), ERR */
        return true;
    }
}

bool vhost_message_handle(struct vhost_device *device, struct vhost_user_message *message)
{
    bool replied = false;
    bool sound = take_message(device, message, &replied);

    if (sound)
        rings_refresh(device);
    if (!replied && message->header.flags & VHOST_USER_NEED_REPLY &&
        device->protocol_features & BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) &&
        !reply_u64(device, message, sound ? 0 : 1))
        return false;
    return sound;
}
