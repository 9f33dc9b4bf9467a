/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames of a tap device (Linux, Documentation/networking/tuntap.rst): each read or write is one.
 *
 * The device must exist, with its address; its maker removes it. (Opening an unknown name would
 * make a new device.) While it is open, its carrier is on. Without IFF_VNET_HDR the kernel passes
 * no unfinished checksums and no segments to be split.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "carrier.h"

static int tap = -1;

/* Say why the device cannot be used, in words for the kernel's error. */
static const char *why(int error)
{
    switch (error) {
    case EBUSY:
        return "another process uses it";
    case EINVAL:
        return "it is not a tap device, or it has several queues";
    case EPERM:
        return "not permitted; it needs root, or to be the device's owner";
    default:
        return strerror(error);
    }
}

static const char *fail(const char *name, const char *reason)
{
    static char sentence[256];

    snprintf(sentence, sizeof(sentence), "cannot use the tap device %.60s: %s", name, reason);
    return sentence;
}

static const char *tap_open(const char *name, const volatile sig_atomic_t *stop)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};

    (void)stop; /* nothing here waits */
    if (strlen(name) >= sizeof(request.ifr_name) || if_nametoindex(name) == 0)
        return fail(name, "there is no device of that name");
    strcpy(request.ifr_name, name);
    tap = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
    if (tap < 0)
        return fail("/dev/net/tun", strerror(errno));
    if (ioctl(tap, TUNSETIFF, &request) != 0) {
        const char *reason = why(errno);
        close(tap);
        return fail(name, reason);
    }
    return NULL;
}

static int tap_fd(void)
{
    return tap;
}

/* Send. The kernel takes a frame at once, or not at all (the device is down). */
static unsigned tap_send(const struct vhost_frame *frames, unsigned nb)
{
    unsigned nb_sent = 0;

    for (unsigned i = 0; i < nb; i++)
        nb_sent += write(tap, frames[i].data, frames[i].len) == (ssize_t)frames[i].len;
    return nb_sent;
}

/* Receive. The kernel cuts off long frames without an error: a byte behind the room detects it. */
static struct carrier_received tap_receive(struct vhost_frame *rooms, unsigned nb)
{
    struct carrier_received received = {0};
    uint8_t beyond;

    while (received.nb_taken < nb) {
        struct vhost_frame *room = &rooms[received.nb_frames];
        struct iovec parts[] = {{room->data, VHOST_ROOM_BYTES_MIN}, {&beyond, 1}};
        ssize_t len = readv(tap, parts, 2);
        if (len < 0) {
            received.gone = errno == EBADFD; /* the device was removed */
            break;
        }
        received.nb_taken++;
        if (len >= VHOST_FRAME_BYTES_MIN && len <= VHOST_ROOM_BYTES_MIN) {
            room->len = (uint32_t)len;
            received.nb_frames++;
        }
    }
    return received;
}

static void tap_close(void)
{
    close(tap);
}

const struct carrier carrier_tap = {tap_open, tap_fd, tap_send, tap_receive, tap_close};
