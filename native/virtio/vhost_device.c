/* SPDX-License-Identifier: BSD-3-Clause */
/* The device side of a virtio-net: the connection to its front end. See vhost_device.h. Messages
 * are handled in vhost_messages.c, rings in vhost_ring.c, memory in vhost_memory.c. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "vhost_state.h"

#define NS_PER_S 1000000000ull
#define CONNECT_AGAIN_NS 1000000u /* between two attempts */

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void disconnect(struct vhost_device *device)
{
    vhost_rings_stop(device);
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
    device->agreed = false;
    vhost_user_drop(&device->reader.message);
    device->reader = (struct vhost_user_reader){0};
    close_fd(&device->socket);
}

/* Accept one front end at a time; the next waits in the listener's queue. */
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
    /* At most 64 messages per call, so that a front end that never stops sending cannot take all
     * time. */
    for (unsigned i = 0; i < 64; i++) {
        result = vhost_user_receive(device->socket, &device->reader);
        if (result == VHOST_USER_NOTHING)
            break;
        if (result == VHOST_USER_GONE || !vhost_message_handle(device, &device->reader.message)) {
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

/* ---- the interface of vhost_device.h ---- */

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

void vhost_ahead(struct vhost_device *device, unsigned nb)
{
    if (device->up)
        vhost_ring_ahead(&device->rings[FRAMES], &device->memory, nb);
}

void vhost_return(struct vhost_device *device)
{
    if (device->up)
        vhost_ring_return(&device->rings[FRAMES]);
}

void vhost_return_later(struct vhost_device *device)
{
    const struct vhost_ring *ring = &device->rings[FRAMES];
    uint16_t nb = (uint16_t)(ring->given - ring->done);

    if (ring->rests || nb >= vring_many(ring->vring.size))
        vhost_return(device);
}

/* Read the counter of a ring's kicks, which resets it. */
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

bool vhost_wait(struct vhost_device *device, int another_fd, uint64_t ns)
{
    struct pollfd wait[2 + NB_RINGS] = {{.fd = connection_fd(device), .events = POLLIN},
                                        {.fd = another_fd, .events = POLLIN}};
    struct pollfd *kicks = wait + 2;
    bool work = false;
    int nb_woke = 1;

    VRING_MOMENT("device: found nothing");
    if (device->socket < 0 && device->listener < 0 && ns > CONNECT_AGAIN_NS)
        ns = CONNECT_AGAIN_NS;
    for (unsigned i = 0; i < NB_RINGS; i++) {
        struct vhost_ring *ring = &device->rings[i];
        /* For rooms, wait if the last vhost_lend returned none, even if there are some now: they
         * may have been added since, without a kick. */
        bool wanted = device->up && device->config.sleeps && (i == FRAMES || ring->rests);
        kicks[i] = (struct pollfd){.fd = wanted ? device->told[i].kick_fd : -1, .events = POLLIN};
        if (wanted && vhost_ring_want_kicks(ring, true))
            work = true;
    }
    VRING_MOMENT("device: has asked for all kicks");
    struct timespec time = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    VRING_MOMENT("device: about to sleep");
    if (!work)
        nb_woke = ppoll(wait, sizeof(wait) / sizeof(wait[0]), &time, NULL);
    VRING_MOMENT("device: woke");
    for (unsigned i = 0; i < NB_RINGS && device->up; i++) {
        vhost_ring_want_kicks(&device->rings[i], false);
        if (kicks[i].revents != 0)
            kicks_read(device, kicks[i].fd);
        VRING_MOMENT("device: has read its kicks");
    }
    return nb_woke != 0;
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
