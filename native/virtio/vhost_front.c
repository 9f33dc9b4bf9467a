/* SPDX-License-Identifier: BSD-3-Clause */
/* The front end of vhost-user: see vhost_front.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/memfd.h>

#include "vhost_front.h"
#include "vhost_user.h"

#define BIT(n) (1ull << (n))
#define WANTED                                                                                     \
    (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_F_IN_ORDER) | BIT(VHOST_USER_F_PROTOCOL_FEATURES))
#define EVENTS BIT(VIRTIO_F_EVENT_IDX)

#define LARGE_PAGE_BYTES 0x200000u
#define AGAIN_MS 1 /* between two attempts to connect */
/* Most time for all answers of a back end. A program that stops this one waits a little longer. */
#define ANSWER_NS 2000000000u
#define WAIT_MS 50 /* for a back end to connect, before *stop is checked again */

/* ---- memory ---- */

static bool map_memory(struct vhost_front *front, unsigned memfd_flags, size_t page_bytes)
{
    size_t rings_bytes = vhost_layout(NULL, front->config.ring_size, front->rings);

    front->memory_bytes = vhost_layout_align(rings_bytes + front->config.buffers_bytes, page_bytes);
    front->memory_fd = memfd_create("nearmetal", MFD_CLOEXEC | MFD_ALLOW_SEALING | memfd_flags);
    if (front->memory_fd < 0)
        return false;
    if (ftruncate(front->memory_fd, (off_t)front->memory_bytes) == 0 &&
        fcntl(front->memory_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
        front->memory = mmap(NULL, front->memory_bytes, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_POPULATE, front->memory_fd, 0);
        if (front->memory != MAP_FAILED) {
            vhost_layout(front->memory, front->config.ring_size, front->rings);
            front->buffers = front->memory + rings_bytes;
            front->buffers_guest = rings_bytes;
            return true;
        }
    }
    close(front->memory_fd);
    return false;
}

const char *vhost_front_open(struct vhost_front *front, const struct vhost_front_config *config)
{
    static char sentence[256];

    *front = (struct vhost_front){.config = *config, .listener = -1, .socket = -1, .call_fd = -1};
    /* Only on request: free pages of the pool may be meant for other programs. */
    if (!(config->hugepages && map_memory(front, MFD_HUGETLB | MFD_HUGE_2MB, LARGE_PAGE_BYTES)) &&
        !map_memory(front, 0, 4096))
        return "no memory for rings and buffers";
    for (unsigned i = 0; i < VHOST_FRONT_RINGS; i++) {
        front->kick_fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (front->kick_fds[i] < 0)
            return "no file descriptor for kicks";
    }
    if (config->called && (front->call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        return "no file descriptor for calls";
    if (config->listen) {
        front->listener = vhost_user_listen(config->path);
        if (front->listener < 0) {
            snprintf(sentence, sizeof(sentence), "cannot listen at %.180s: %s", config->path,
                     strerror(errno));
            return sentence;
        }
    }
    return NULL;
}

void vhost_front_close(struct vhost_front *front)
{
    vhost_front_disconnect(front);
    if (front->listener >= 0) {
        close(front->listener);
        unlink(front->config.path);
    }
    for (unsigned i = 0; i < VHOST_FRONT_RINGS; i++)
        close(front->kick_fds[i]);
    if (front->call_fd >= 0)
        close(front->call_fd);
    munmap(front->memory, front->memory_bytes);
    close(front->memory_fd);
}

/* ---- handshake ---- */

static bool send_u64(const struct vhost_front *front, uint32_t request, uint64_t value, int fd)
{
    struct vhost_user_message message = {.header = {request, VHOST_USER_VERSION, sizeof(value)},
                                         .payload.u64 = value};

    if (fd >= 0)
        message.fds[message.nb_fds++] = fd;
    return vhost_user_send(front->socket, &message);
}

static bool ask_u64(const struct vhost_front *front, uint32_t request, uint64_t *value,
                    uint64_t end_ns)
{
    struct vhost_user_message message = {.header = {request, VHOST_USER_VERSION, 0}};
    struct vhost_user_reader reader = {0};
    bool answered = vhost_user_send(front->socket, &message) &&
                    vhost_user_wait(front->socket, &reader, end_ns) == VHOST_USER_MESSAGE &&
                    reader.message.header.request == request &&
                    reader.message.header.bytes == sizeof(*value);

    *value = reader.message.payload.u64;
    vhost_user_drop(&reader.message);
    return answered;
}

static bool agree(struct vhost_front *front)
{
    uint64_t offered, protocol;
    struct vhost_user_message owner = {.header = {VHOST_USER_SET_OWNER, VHOST_USER_VERSION, 0}};
    uint64_t end_ns = vhost_user_now_ns() + ANSWER_NS;

    if (!ask_u64(front, VHOST_USER_GET_FEATURES, &offered, end_ns))
        return false;
    front->features = offered & (WANTED | (front->config.events ? EVENTS : 0));
    if (!(front->features & BIT(VIRTIO_F_VERSION_1)))
        return false;
    /* No protocol feature is needed. Accepting the bit, with no feature set, lets rings be enabled
     * by message. */
    if (front->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES) &&
        (!ask_u64(front, VHOST_USER_GET_PROTOCOL_FEATURES, &protocol, end_ns) ||
         !send_u64(front, VHOST_USER_SET_PROTOCOL_FEATURES, 0, -1)))
        return false;
    return vhost_user_send(front->socket, &owner) &&
           send_u64(front, VHOST_USER_SET_FEATURES, front->features, -1);
}

static bool send_memory(const struct vhost_front *front)
{
    struct vhost_user_message message = {
        .header = {VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION,
                   offsetof(struct vhost_user_memory, regions[1])},
        .payload.memory = {.nb_regions = 1,
                           .regions = {{.guest = 0,
                                        .bytes = front->memory_bytes,
                                        .user = (uintptr_t)front->memory,
                                        .offset = 0}}},
        .fds = {front->memory_fd},
        .nb_fds = 1};

    return vhost_user_send(front->socket, &message);
}

static bool send_state(const struct vhost_front *front, uint32_t request, uint32_t ring,
                       uint32_t value)
{
    struct vhost_user_message message = {
        .header = {request, VHOST_USER_VERSION, sizeof(struct vhost_user_state)},
        .payload.state = {ring, value}};

    return vhost_user_send(front->socket, &message);
}

static bool send_ring(const struct vhost_front *front, uint32_t i)
{
    const struct vring *ring = &front->rings[i];
    struct vhost_user_message addr = {
        .header = {VHOST_USER_SET_VRING_ADDR, VHOST_USER_VERSION, sizeof(struct vhost_user_addr)},
        .payload.addr = {.ring = i,
                         .desc = (uintptr_t)ring->desc,
                         .used = (uintptr_t)ring->used,
                         .avail = (uintptr_t)ring->avail}};

    /* Only received frames need a call: returned buffers of sent frames can wait. */
    bool called = i == VHOST_FRONT_RX && front->call_fd >= 0;
    return send_state(front, VHOST_USER_SET_VRING_NUM, i, ring->size) &&
           send_state(front, VHOST_USER_SET_VRING_BASE, i, 0) &&
           vhost_user_send(front->socket, &addr) &&
           send_u64(front, VHOST_USER_SET_VRING_CALL, called ? i : i | VHOST_USER_RING_NO_FD,
                    called ? front->call_fd : -1) &&
           send_u64(front, VHOST_USER_SET_VRING_KICK, i, front->kick_fds[i]);
}

bool vhost_front_start(struct vhost_front *front)
{
    bool sent = send_memory(front);

    for (uint32_t i = 0; i < VHOST_FRONT_RINGS; i++)
        sent = sent && send_ring(front, i);
    if (front->features & BIT(VHOST_USER_F_PROTOCOL_FEATURES))
        for (uint32_t i = 0; i < VHOST_FRONT_RINGS; i++)
            sent = sent && send_state(front, VHOST_USER_SET_VRING_ENABLE, i, 1);
    return sent;
}

/* Return the socket of a back end, or -1. As the listener, wait up to wait_ms for one. */
static int connect_one(const struct vhost_front *front, int wait_ms)
{
    struct pollfd wait = {.fd = front->listener, .events = POLLIN};

    if (front->listener < 0)
        return vhost_user_connect(front->config.path);
    return poll(&wait, 1, wait_ms) == 1
               ? accept4(front->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)
               : -1;
}

static bool try_connect(struct vhost_front *front, int wait_ms)
{
    front->socket = connect_one(front, wait_ms);
    if (front->socket < 0)
        return false;
    if (agree(front))
        return true;
    vhost_front_disconnect(front);
    return false;
}

static void empty_rings(struct vhost_front *front)
{
    vhost_front_disconnect(front);
    /* No back end has the memory now, unless one kept it against the protocol. */
    memset(front->memory, 0, (size_t)(front->buffers - front->memory));
}

bool vhost_front_try(struct vhost_front *front)
{
    empty_rings(front);
    return try_connect(front, 0);
}

bool vhost_front_connect(struct vhost_front *front, const volatile sig_atomic_t *stop)
{
    empty_rings(front);
    while (!*stop) {
        if (try_connect(front, WAIT_MS))
            return true;
        (void)poll(NULL, 0, AGAIN_MS);
    }
    return false;
}

bool vhost_front_lost(struct vhost_front *front)
{
    struct vhost_user_reader reader = {0};
    /* A back end sends only answers to requests. */
    enum vhost_user_result result = vhost_user_receive(front->socket, &reader);

    vhost_user_drop(&reader.message);
    return result != VHOST_USER_NOTHING;
}

void vhost_front_disconnect(struct vhost_front *front)
{
    if (front->socket >= 0)
        close(front->socket);
    front->socket = -1;
}

void vhost_front_kick(const struct vhost_front *front, unsigned ring)
{
    uint64_t one = 1;

    if (write(front->kick_fds[ring], &one, sizeof(one)) < 0)
        return; /* the counter is full: kicks are pending */
}
