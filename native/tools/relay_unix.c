/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Frames as datagrams of an AF_UNIX socket, one frame each, so that a script can talk to a server.
 *
 * Datagrams are received directly into the server's buffers and sent directly out of them. Frames
 * are sent to the sender of the latest datagram, the reader. A slow reader is waited for, up to 100
 * ms; then frames for it are dropped until it reads again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "carrier.h"

#define READER_PAUSE_NS 200000 /* between two attempts to send to a reader whose queue is full */
#define READER_PAUSES 500u     /* after so many, 100 ms, the reader counts as stalled */

static struct {
    const char *path;
    const volatile sig_atomic_t *stop;
    int fd;
    bool stalled; /* the reader did not read for 100 ms */
    struct sockaddr_un reader;
    socklen_t reader_bytes; /* 0: no datagram was received so far */
} side;

static int socket_open(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int bytes = 4 << 20;
    int fd;

    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    /* The largest buffers that the system allows, which are large enough. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static const char *unix_open(const char *path, const volatile sig_atomic_t *stop)
{
    static char sentence[256];

    side.path = path;
    side.stop = stop;
    side.fd = socket_open(path);
    if (side.fd >= 0)
        return NULL;
    snprintf(sentence, sizeof(sentence), "cannot listen at %.180s: %s", path, strerror(errno));
    return sentence;
}

static int unix_fd(void)
{
    return side.fd;
}

static void pause_ns(long ns)
{
    struct timespec wait = {0, ns};

    nanosleep(&wait, NULL);
}

/* Send, waiting for a slow reader within its bounds. Returns how many left, from the first on. */
static unsigned send_all(struct mmsghdr *messages, unsigned nb)
{
    unsigned nb_sent = 0, pauses = 0;

    while (nb_sent < nb) {
        int sent = sendmmsg(side.fd, messages + nb_sent, nb - nb_sent, MSG_DONTWAIT);
        if (sent > 0) {
            nb_sent += (unsigned)sent;
            pauses = 0;
            side.stalled = false;
        } else if (errno != EAGAIN || side.stalled || *side.stop) {
            break; /* the reader is gone, or does not read */
        } else if (++pauses > READER_PAUSES) {
            side.stalled = true;
        } else {
            pause_ns(READER_PAUSE_NS);
        }
    }
    return nb_sent;
}

static unsigned unix_send(const struct vhost_frame *frames, unsigned nb)
{
    struct iovec parts[CARRIER_BURST];
    struct mmsghdr messages[CARRIER_BURST];

    if (side.reader_bytes == 0)
        return 0;
    for (unsigned i = 0; i < nb; i++) {
        parts[i] = (struct iovec){frames[i].data, frames[i].len};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &side.reader,
                                                   .msg_namelen = side.reader_bytes,
                                                   .msg_iov = &parts[i],
                                                   .msg_iovlen = 1}};
    }
    return send_all(messages, nb);
}

/* Move the valid frames of a burst of datagrams together, to the first rooms; returns how many. */
static unsigned keep_frames(const struct mmsghdr *messages, unsigned nb, struct vhost_frame *frames)
{
    unsigned nb_frames = 0;

    for (unsigned i = 0; i < nb; i++) {
        const struct msghdr *message = &messages[i].msg_hdr;
        uint32_t len = messages[i].msg_len;
        /* A sender without a name cannot be answered. */
        if (message->msg_namelen > sizeof(sa_family_t)) {
            memcpy(&side.reader, message->msg_name, message->msg_namelen);
            side.reader_bytes = message->msg_namelen;
            side.stalled = false;
        }
        if (message->msg_flags & MSG_TRUNC || len < VHOST_FRAME_BYTES_MIN)
            continue;
        if (nb_frames != i)
            memcpy(frames[nb_frames].data, frames[i].data, len);
        frames[nb_frames++].len = len;
    }
    return nb_frames;
}

static struct carrier_received unix_receive(struct vhost_frame *rooms, unsigned nb)
{
    struct iovec parts[CARRIER_BURST];
    struct sockaddr_un senders[CARRIER_BURST];
    struct mmsghdr messages[CARRIER_BURST];

    for (unsigned i = 0; i < nb; i++) {
        /* At most what every room holds: a frame may be moved to an earlier room. */
        parts[i] = (struct iovec){rooms[i].data, VHOST_ROOM_BYTES_MIN};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &senders[i],
                                                   .msg_namelen = sizeof(senders[i]),
                                                   .msg_iov = &parts[i],
                                                   .msg_iovlen = 1}};
    }
    int got = recvmmsg(side.fd, messages, nb, MSG_DONTWAIT, NULL);
    if (got <= 0)
        return (struct carrier_received){0};
    return (struct carrier_received){(unsigned)got, keep_frames(messages, (unsigned)got, rooms),
                                     false};
}

static void unix_close(void)
{
    close(side.fd);
    unlink(side.path);
}

const struct carrier carrier_unix = {unix_open, unix_fd, unix_send, unix_receive, unix_close};
