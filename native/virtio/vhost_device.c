/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device side of a virtio-net: the connection to its front end. See vhost_device.h; the rings
 * are in vhost_ring.c, the memory in vhost_memory.c.
 *
 * The front end tells memory and rings piece by piece, and pieces again, in an order of its own
 * (QEMU enables a ring before it says where it is). So every message only notes what it says, and
 * after each one the rings that are complete are started (rings_refresh). What is said again about
 * a ring stops it first.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vhost_device.h"
#include "vhost_ring.h"
#include "vhost_user.h"

enum { ROOMS = 0, FRAMES = 1, NB_RINGS = 2 };

#define BIT(n) (1ull << (n))
#define OFFERED                                                                                    \
    (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_IN_ORDER) | BIT(VIRTIO_F_EVENT_IDX) |                  \
     BIT(VHOST_USER_F_PROTOCOL_FEATURES))
#define OFFERED_PROTOCOL BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK)

#define NS_PER_S 1000000000ull
#define CONNECT_AGAIN_NS 1000000u /* between two attempts */

/* What the front end has said of a ring. */
struct told {
    uint32_t size;
    bool has_addr, kicked, enabled;
    struct vhost_user_addr addr;
    int kick_fd;
    bool running;
};

struct vhost_device {
    bool up;
    struct vhost_ring rings[NB_RINGS];
    struct vhost_memory memory, retired;
    struct told told[NB_RINGS];
    struct vhost_config config;
    int listener, socket;
    struct vhost_user_reader reader;
    uint64_t features, protocol_features;
    uint64_t connect_ns; /* not before then */
    uint64_t nb_connections, nb_kicks;
};

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* ---- rings ---- */

static void ring_stop(struct vhost_device *device, unsigned i)
{
    struct vhost_ring *ring = &device->rings[i];

    device->up = false;
    device->told[i].running = false;
    /* What was lent or received is void: nothing of it goes back. */
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
    /* 2.6: 16, 2 and 4 bytes, in the other side's address space; ours is congruent by pages. */
    if ((uintptr_t)at.desc % 16 != 0 || (uintptr_t)at.avail % 2 != 0 || (uintptr_t)at.used % 4 != 0)
        return;
    ring->frames = i == FRAMES;
    ring->in_order = device->features & BIT(VIRTIO_F_IN_ORDER);
    ring->event_idx = device->features & BIT(VIRTIO_F_EVENT_IDX);
    vhost_ring_start(ring, &at);
    told->running = true;
}

static void rings_refresh(struct vhost_device *device)
{
    bool up = device->features & BIT(VIRTIO_F_VERSION_1);

    for (unsigned i = 0; i < NB_RINGS; i++) {
        struct told *told = &device->told[i];
        if (!told->running && told->size > 0 && told->has_addr && told->kicked)
            ring_start(device, i);
        /* Without protocol features there is no ENABLE: a ring that is started is enabled. */
        up &= told->running && !device->rings[i].broken &&
              (told->enabled || !(device->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES)));
    }
    device->up = up;
}

static void rings_stop(struct vhost_device *device)
{
    for (unsigned i = 0; i < NB_RINGS; i++)
        ring_stop(device, i);
}

/* ---- messages ---- */

static bool reply_u64(struct vhost_device *device, const struct vhost_user_message *to,
                      uint64_t value)
{
    struct vhost_user_message message = {
        .header = {to->header.request, VHOST_USER_VERSION | VHOST_USER_REPLY, sizeof(uint64_t)},
        .payload.u64 = value};

    return vhost_user_send(device->socket, &message);
}

/* A descriptor for ring `u64 & 0xff`, in place of *fd. */
static bool replace_fd(struct vhost_user_message *message, int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = message->payload.u64 & VHOST_USER_RING_NO_FD ? -1 : vhost_user_take(message, 0);
    return true;
}

static bool set_memory(struct vhost_device *device, struct vhost_user_message *message)
{
    rings_stop(device);
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

/* The ring stops; the front end learns where to go on: at the first buffer not returned. */
static bool get_base(struct vhost_device *device, const struct vhost_user_message *message)
{
    uint32_t i = message->payload.state.ring;
    struct vhost_user_message reply = {.header = {message->header.request,
                                                  VHOST_USER_VERSION | VHOST_USER_REPLY,
                                                  sizeof(struct vhost_user_state)},
                                       .payload.state = {i, device->rings[i].done}};

    ring_stop(device, i);
    device->told[i].kicked = false;
    return vhost_user_send(device->socket, &reply);
}

/* Bytes that a request's payload must have, and whether it names a ring by its first number. */
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
        return false; /* nothing that we offered */
    }
}

/* What one message says. False: it cannot be so. *replied: its own reply was the answer. */
static bool take_message(struct vhost_device *device, struct vhost_user_message *message,
                         bool *replied)
{
    const union vhost_user_payload *payload = &message->payload;
    unsigned i = payload->u64 & VHOST_USER_RING_MASK; /* once message_sound vouched for it */

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
        device->told[i].kicked = true;
        return replace_fd(message, &device->told[i].kick_fd);
    case VHOST_USER_SET_VRING_CALL:
        return replace_fd(message, &device->rings[i].call_fd);
    case VHOST_USER_SET_VRING_ENABLE:
        device->told[i].enabled = payload->state.value == 1;
        return true;
    default: /* OWNER says nothing to us, nor BASE (rings go on at used.idx), nor ERR */
        return true;
    }
}

/* Returns whether the front end may stay. */
static bool handle(struct vhost_device *device, struct vhost_user_message *message)
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

/* ---- connection ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void disconnect(struct vhost_device *device)
{
    rings_stop(device);
    for (unsigned i = 0; i < NB_RINGS; i++) {
        close_fd(&device->told[i].kick_fd);
        close_fd(&device->rings[i].call_fd);
        device->told[i] = (struct told){.kick_fd = -1};
    }
    vhost_memory_unmap(&device->retired);
    vhost_memory_retire(&device->memory);
    device->retired = device->memory;
    device->memory = (struct vhost_memory){0};
    device->features = device->protocol_features = 0;
    vhost_user_drop(&device->reader.message);
    device->reader = (struct vhost_user_reader){0};
    close_fd(&device->socket);
}

/* One front end at a time; the next waits in the listener's queue. */
static void connect_one(struct vhost_device *device)
{
    if (device->listener >= 0) {
        device->socket = accept4(device->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } else if (now_ns() >= device->connect_ns) {
        device->socket = vhost_user_connect(device->config.path);
        device->connect_ns = now_ns() + CONNECT_AGAIN_NS;
    }
    if (device->socket >= 0)
        device->nb_connections++;
}

void vhost_control(struct vhost_device *device)
{
    enum vhost_user_result result;

    if (device->socket < 0)
        connect_one(device);
    if (device->socket < 0)
        return;
    /* Bounded: a front end that talks without end has the device's time for 64 messages. */
    for (unsigned i = 0; i < 64; i++) {
        result = vhost_user_receive(device->socket, &device->reader);
        if (result == VHOST_USER_NOTHING)
            break;
        if (result == VHOST_USER_GONE || !handle(device, &device->reader.message)) {
            disconnect(device);
            return;
        }
    }
    for (unsigned i = 0; i < NB_RINGS && device->up; i++) {
        if (device->rings[i].broken)
            device->up = false;
        else if (device->rings[i].event_idx) /* renew "do not kick me" */
            vhost_ring_want_kicks(&device->rings[i], false);
    }
}

const char *vhost_open(struct vhost_device **device, const struct vhost_config *config)
{
    static char sentence[256];
    struct vhost_device *made = calloc(1, sizeof(*made));

    if (made == NULL)
        return "no memory for the rings";
    made->config = *config;
    made->socket = made->listener = -1;
    for (unsigned i = 0; i < NB_RINGS; i++)
        made->told[i].kick_fd = made->rings[i].call_fd = -1;
    if (!config->connect) {
        made->listener = vhost_user_listen(config->path);
        if (made->listener < 0) {
            snprintf(sentence, sizeof(sentence), "cannot listen at %.180s: %s", config->path,
                     strerror(errno));
            free(made);
            return sentence;
        }
    }
    *device = made;
    return NULL;
}

void vhost_close(struct vhost_device *device)
{
    disconnect(device);
    vhost_memory_unmap(&device->retired);
    if (device->listener >= 0) {
        close(device->listener);
        unlink(device->config.path);
    }
    free(device);
}

/* ---- the user's side ---- */

bool vhost_up(const struct vhost_device *device)
{
    return device->up;
}

unsigned vhost_lend(struct vhost_device *device, struct vhost_frame *rooms, unsigned nb)
{
    return device->up ? vhost_ring_lend(&device->rings[ROOMS], &device->memory, rooms, nb) : 0;
}

void vhost_send(struct vhost_device *device, const struct vhost_frame *frames, unsigned nb)
{
    if (device->up)
        vhost_ring_send(&device->rings[ROOMS], frames, nb);
}

unsigned vhost_receive(struct vhost_device *device, struct vhost_frame *frames, unsigned nb)
{
    return device->up ? vhost_ring_receive(&device->rings[FRAMES], &device->memory, frames, nb) : 0;
}

void vhost_return(struct vhost_device *device)
{
    if (device->up)
        vhost_ring_return(&device->rings[FRAMES]);
}

/* Empty the counter of a ring's kicks. */
static void kicks_read(struct vhost_device *device, int fd)
{
    uint64_t nb;

    if (read(fd, &nb, sizeof(nb)) == sizeof(nb))
        device->nb_kicks += nb;
}

static int connection_fd(const struct vhost_device *device)
{
    return device->socket >= 0 ? device->socket : device->listener;
}

void vhost_wait(struct vhost_device *device, int another_fd, uint64_t ns)
{
    struct pollfd wait[2 + NB_RINGS] = {{.fd = connection_fd(device), .events = POLLIN},
                                        {.fd = another_fd, .events = POLLIN}};
    struct pollfd *kicks = wait + 2;
    bool work = false;

    if (device->socket < 0 && device->listener < 0 && ns > CONNECT_AGAIN_NS)
        ns = CONNECT_AGAIN_NS;
    for (unsigned i = 0; i < NB_RINGS; i++) {
        struct vhost_ring *ring = &device->rings[i];
        /* Rooms are waited for only where there is none. */
        bool wanted =
            device->up && device->config.sleeps && (i == FRAMES || ring->prepared == ring->done);
        kicks[i] = (struct pollfd){.fd = wanted ? device->told[i].kick_fd : -1, .events = POLLIN};
        if (wanted && vhost_ring_want_kicks(ring, true))
            work = true;
    }
    struct timespec time = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    if (!work)
        (void)ppoll(wait, sizeof(wait) / sizeof(wait[0]), &time, NULL);
    for (unsigned i = 0; i < NB_RINGS && device->up; i++) {
        vhost_ring_want_kicks(&device->rings[i], false);
        if (kicks[i].revents != 0)
            kicks_read(device, kicks[i].fd);
    }
}

void vhost_stats(const struct vhost_device *device, struct vhost_stats *stats)
{
    const struct vhost_ring *rooms = &device->rings[ROOMS], *frames = &device->rings[FRAMES];

    *stats = (struct vhost_stats){.nb_connections = device->nb_connections,
                                  .nb_tx = rooms->nb_frames,
                                  .nb_rx = frames->nb_frames,
                                  .nb_bad_descriptor =
                                      rooms->nb_bad_descriptor + frames->nb_bad_descriptor,
                                  .nb_bad_index = rooms->nb_bad_index + frames->nb_bad_index,
                                  .nb_calls = rooms->nb_calls + frames->nb_calls,
                                  .nb_kicks = device->nb_kicks};
}
