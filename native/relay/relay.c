/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nm-relay: frames between a vhost-user server and AF_UNIX datagrams, one frame each, so that a
 * script can speak to the server. We are the server's back end (virtio/vhost_device.h).
 *
 * Datagrams are received right into the server's buffers and sent right out of them. Frames go to
 * whoever sent a datagram last. A reader who is slow is waited for, a while; then what comes for it
 * is dropped until it reads again. While there is no server, datagrams are dropped.
 *
 * Asleep when idle: one ppoll on kick, vhost-user socket and datagram socket; up to 64 frames each
 * way a turn.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vhost_device.h"

#define BURST 64u
#define SLEEP_NS 100000000ull  /* at most, when idle: a signal may come just before */
#define READER_PAUSE_NS 200000 /* between two attempts to send to a reader who is full */
#define READER_PAUSES 500u     /* so many, 100 ms, and it counts as stalled */

struct options {
    struct vhost_config vhost;
    const char *unix_path;
};

struct relay {
    struct vhost_device *device;
    int unix_fd;
    bool up;
    bool stalled; /* the reader did not read for 100 ms */
    struct sockaddr_un reader;
    socklen_t reader_bytes; /* 0: nobody has sent anything yet */
    uint64_t nb_dropped;    /* no server, no reader, or no frame */
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
    (void)number;
    stop = 1;
}

static void pause_ns(long ns)
{
    struct timespec wait = {0, ns};

    nanosleep(&wait, NULL);
}

/* ---- from the server ---- */

/* Returns how many of them left, from the first on; waits for a slow reader, within its bounds. */
static unsigned send_all(struct relay *relay, struct mmsghdr *messages, unsigned nb)
{
    unsigned nb_sent = 0, pauses = 0;

    while (nb_sent < nb) {
        int sent = sendmmsg(relay->unix_fd, messages + nb_sent, nb - nb_sent, MSG_DONTWAIT);
        if (sent > 0) {
            nb_sent += (unsigned)sent;
            pauses = 0;
            relay->stalled = false;
        } else if (errno != EAGAIN || relay->stalled || stop) {
            break; /* it has gone, or does not read */
        } else if (++pauses > READER_PAUSES) {
            relay->stalled = true;
        } else {
            pause_ns(READER_PAUSE_NS);
        }
    }
    return nb_sent;
}

static unsigned from_server(struct relay *relay)
{
    struct vhost_frame frames[BURST];
    struct iovec parts[BURST];
    struct mmsghdr messages[BURST];
    unsigned nb = vhost_receive(relay->device, frames, BURST), nb_sent = 0;

    for (unsigned i = 0; i < nb; i++) {
        parts[i] = (struct iovec){frames[i].data, frames[i].len};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &relay->reader,
                                                   .msg_namelen = relay->reader_bytes,
                                                   .msg_iov = &parts[i],
                                                   .msg_iovlen = 1}};
    }
    if (relay->reader_bytes > 0)
        nb_sent = send_all(relay, messages, nb);
    relay->nb_dropped += nb - nb_sent;
    vhost_return(relay->device);
    return nb;
}

/* ---- to the server ---- */

/* Frames of a burst of datagrams, close together from the first room on; returns how many. */
static unsigned keep_frames(struct relay *relay, const struct mmsghdr *messages, unsigned nb,
                            struct vhost_frame *frames)
{
    unsigned nb_frames = 0;

    for (unsigned i = 0; i < nb; i++) {
        const struct msghdr *message = &messages[i].msg_hdr;
        uint32_t len = messages[i].msg_len;
        /* Who has no name cannot be answered. */
        if (message->msg_namelen > sizeof(sa_family_t)) {
            memcpy(&relay->reader, message->msg_name, message->msg_namelen);
            relay->reader_bytes = message->msg_namelen;
            relay->stalled = false;
        }
        if (message->msg_flags & MSG_TRUNC || len < VHOST_FRAME_BYTES_MIN) {
            relay->nb_dropped++;
            continue;
        }
        if (nb_frames != i)
            memcpy(frames[nb_frames].data, frames[i].data, len);
        frames[nb_frames++].len = len;
    }
    return nb_frames;
}

/* Returns how many datagrams were taken from the socket; *room: there was any to take them. */
static unsigned to_server(struct relay *relay, bool *room)
{
    static uint8_t waste[BURST][VHOST_ROOM_BYTES_MIN];
    struct vhost_frame rooms[BURST];
    struct iovec parts[BURST];
    struct sockaddr_un senders[BURST];
    struct mmsghdr messages[BURST];
    unsigned nb = vhost_lend(relay->device, rooms, BURST);

    if (!relay->up) {
        for (nb = 0; nb < BURST; nb++)
            rooms[nb] = (struct vhost_frame){.data = waste[nb], .len = sizeof(waste[nb])};
    }
    *room = nb > 0;
    for (unsigned i = 0; i < nb; i++) {
        /* No more than any room takes: frames may move to an earlier one. */
        parts[i] = (struct iovec){rooms[i].data, VHOST_ROOM_BYTES_MIN};
        messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &senders[i],
                                                   .msg_namelen = sizeof(senders[i]),
                                                   .msg_iov = &parts[i],
                                                   .msg_iovlen = 1}};
    }
    int got = nb > 0 ? recvmmsg(relay->unix_fd, messages, nb, MSG_DONTWAIT, NULL) : 0;
    if (got <= 0)
        return 0;
    nb = keep_frames(relay, messages, (unsigned)got, rooms);
    if (relay->up)
        vhost_send(relay->device, rooms, nb);
    else
        relay->nb_dropped += nb;
    return (unsigned)got;
}

/* ---- the program ---- */

static void say(const char *event)
{
    printf("{\"event\":\"%s\"}\n", event);
    fflush(stdout);
}

static void relay_run(struct relay *relay)
{
    while (!stop) {
        bool room;
        vhost_control(relay->device);
        if (vhost_up(relay->device) != relay->up) {
            relay->up = !relay->up;
            say(relay->up ? "up" : "down");
        }
        /* A server without a buffer is waited for; what is said to it stays in the socket. */
        if (from_server(relay) + to_server(relay, &room) == 0)
            vhost_wait(relay->device, room ? relay->unix_fd : -1, SLEEP_NS);
    }
}

static void print_final(const struct relay *relay)
{
    struct vhost_stats stats;

    vhost_stats(relay->device, &stats);
    printf("{\"event\":\"final\",\"tx\":%" PRIu64 ",\"rx\":%" PRIu64 ",\"dropped\":%" PRIu64
           ",\"bad_descriptor\":%" PRIu64 ",\"bad_index\":%" PRIu64 ",\"kicks\":%" PRIu64
           ",\"calls\":%" PRIu64 ",\"connections\":%" PRIu64 "}\n",
           stats.nb_tx, stats.nb_rx, relay->nb_dropped, stats.nb_bad_descriptor, stats.nb_bad_index,
           stats.nb_kicks, stats.nb_calls, stats.nb_connections);
}

static int unix_open(const char *path)
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
    /* As much as the system allows, which is enough. */
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int run(const struct options *options)
{
    static struct relay relay;
    const char *error;

    relay.unix_fd = unix_open(options->unix_path);
    if (relay.unix_fd < 0) {
        fprintf(stderr, "nm-relay: cannot listen at %s: %s\n", options->unix_path, strerror(errno));
        return 1;
    }
    error = vhost_open(&relay.device, &options->vhost);
    if (error != NULL) {
        fprintf(stderr, "nm-relay: %s\n", error);
    } else {
        say("ready");
        relay_run(&relay);
        print_final(&relay);
        vhost_close(relay.device);
    }
    close(relay.unix_fd);
    unlink(options->unix_path);
    return error == NULL ? 0 : 1;
}

static bool options_parse(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {{"socket", required_argument, NULL, 's'},
                                          {"connect", no_argument, NULL, 'c'},
                                          {"unix", required_argument, NULL, 'u'},
                                          {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 's')
            options->vhost.path = optarg;
        else if (option == 'c')
            options->vhost.connect = true;
        else if (option == 'u')
            options->unix_path = optarg;
        else
            return false;
    }
    return options->vhost.path != NULL && options->unix_path != NULL && optind == argc;
}

int main(int argc, char **argv)
{
    struct options options = {.vhost.sleeps = true};
    struct sigaction action = {.sa_handler = on_signal};

    if (!options_parse(argc, argv, &options)) {
        fputs("nm-relay: wants --socket PATH [--connect] --unix PATH\n", stderr);
        return 2;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return run(&options);
}
