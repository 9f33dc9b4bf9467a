/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Neither side stays asleep while there is work, at whichever moment a scheduler stops one side.
 *
 * The real driver (netdev.c, on the transport of the `process` form) and the real device (relay's
 * loop, vhost_device.c), a thread each, with the real descriptors between them. Every sleep has a
 * time-out of an hour: only a kick, a call or a frame ends it. Frames are sent round; at each
 * moment of either side (moments.h) that side is stopped until the other sleeps, then it continues.
 * If both sides sleep while frames are in flight, a notification was missed.
 */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../check.h"
#include "clock.h"
#include "frames.h"
#include "moments.h"
#include "netdev_buffers.h"
#include "process.h"
#include "relay_loop.h"
#include "vhost_front.h"

#define HOUR_NS (3600ull * 1000000000u)
#define FRAME_BYTES 60u
#define BURST 64u
#define SEEDS 60u
#define CONFIRM_MS 10000  /* needed only if the test fails, or nearly */
#define LEAST_MOMENTS 16u /* with fewer, moments were removed from the sources */

static const struct {
    const char *name;
    uint32_t ring_size;
    unsigned nb_frames, nb_rounds; /* frames at once, and repetitions */
    bool events;                   /* EVENT_IDX */
} cases[] = {
    {"one frame, by events", 64, 1, 40, true},
    {"one frame, by flags", 64, 1, 40, false},
    {"some frames", 64, 40, 10, true},
    {"more frames than rooms, by events", 16, 150, 6, true},
    {"more frames than rooms, by flags", 16, 150, 6, false},
};

static struct {
    char folder[64], socket[96];
    struct control control; /* of the tender, of the driver */
    struct vhost_front front;
    int carrier[2]; /* the test's end, the relay's end */
    atomic_bool driver_ends;
    atomic_bool device_is_up; /* before that, a relay drops the frames of its carrier */
    volatile sig_atomic_t device_ends;
    const char *at; /* the current stop, for a failure message */
} bed;

/* ---- the driver: an echo ---- */

struct control *process_control(void)
{
    return &bed.control;
}

uint64_t clock_tsc_hz(void)
{
    return 1000000000;
}

/* A frame that the ring does not take is freed: a server would drop it. */
static void echo(struct frames *frames, struct frame *list, unsigned nb)
{
    unsigned nb_sent = frames_tx_burst(frames, list, nb);

    for (unsigned i = nb_sent; i < nb; i++)
        CHECK(write(bed.carrier[1], list[i].data, list[i].len) == (ssize_t)list[i].len);
    if (nb_sent < nb)
        frames_free(frames, list + nb_sent, nb - nb_sent);
}

static void *drive(void *nothing)
{
    const struct datapath_config config = {0};
    struct frame list[BURST];
    struct frames *frames;

    CHECK(frames_open(&frames, &config) == NULL);
    moments_join(MOMENTS_DRIVER);
    while (!atomic_load(&bed.driver_ends)) {
        unsigned nb = frames_rx_burst(frames, list, BURST);
        if (nb > 0)
            echo(frames, list, nb);
        else
            frames_wait(frames, HOUR_NS);
    }
    frames_close(frames);
    return nothing;
}

/* ---- the device: a relay; its carrier is a pair of sockets ---- */

static int carrier_fd(void)
{
    return bed.carrier[1];
}

static unsigned carrier_send(const struct vhost_frame *frames, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++)
        CHECK(send(bed.carrier[1], frames[i].data, frames[i].len, 0) == (ssize_t)frames[i].len);
    return nb;
}

static struct carrier_received carrier_receive(struct vhost_frame *rooms, unsigned nb)
{
    struct carrier_received got = {0};

    for (; got.nb_taken < nb; got.nb_taken = ++got.nb_frames) {
        ssize_t len = recv(bed.carrier[1], rooms[got.nb_taken].data, FRAME_BYTES, MSG_DONTWAIT);
        if (len <= 0) {
            got.gone = len == 0;
            break;
        }
        rooms[got.nb_taken].len = (uint32_t)len;
    }
    return got;
}

static void note_event(const char *event)
{
    if (strcmp(event, "up") == 0)
        atomic_store(&bed.device_is_up, true);
}

static void *relay(void *nothing)
{
    static const struct carrier carrier = {
        .fd = carrier_fd, .send = carrier_send, .receive = carrier_receive};
    const struct vhost_config config = {.path = bed.socket, .sleeps = true};
    struct relay relay = {
        .carrier = &carrier, .stop = &bed.device_ends, .say = note_event, .sleep_ns = HOUR_NS};

    CHECK(vhost_open(&relay.device, &config) == NULL);
    moments_join(MOMENTS_DEVICE);
    relay_run(&relay);
    CHECK(relay.gone && relay.nb_overslept == 0 && relay.nb_dropped == 0);
    vhost_close(relay.device);
    return nothing;
}

/* ---- the tender's part ---- */

static void wake(void)
{
    uint64_t one = 1;

    CHECK(write(bed.front.call_fd, &one, sizeof(one)) == sizeof(one));
}

static void change_link(uint64_t features)
{
    atomic_store(&bed.control.link.features, features);
    atomic_fetch_add(&bed.control.link.generation, 1);
    wake();
}

static void link_up(void)
{
    static const volatile sig_atomic_t never;

    CHECK(vhost_front_connect(&bed.front, &never));
    CHECK(vhost_front_start(&bed.front));
    change_link(bed.front.features);
    while (!atomic_load(&bed.device_is_up))
        sched_yield();
}

static void link_down(void)
{
    vhost_front_disconnect(&bed.front);
    change_link(0);
    while (atomic_load(&bed.control.said.seen) != atomic_load(&bed.control.link.generation))
        sched_yield();
}

/* The data process's descriptors have fixed numbers, which no other file gets. */
static void open_front(uint32_t ring_size, bool events)
{
    const struct vhost_front_config config = {.path = bed.socket,
                                              .events = events,
                                              .called = true,
                                              .ring_size = ring_size,
                                              .buffers_bytes = (size_t)(ring_size + NETDEV_SPARES) *
                                                               NETDEV_STRIDE_BYTES};

    for (int fd = CONTROL_FD_PAGE; fd < CONTROL_FD_END; fd++)
        CHECK(dup2(STDERR_FILENO, fd) == fd);
    CHECK(vhost_front_open(&bed.front, &config) == NULL);
    CHECK(dup2(bed.front.memory_fd, CONTROL_FD_MEMORY) == CONTROL_FD_MEMORY);
    CHECK(dup2(bed.front.kick_fds[0], CONTROL_FD_KICK) == CONTROL_FD_KICK);
    CHECK(dup2(bed.front.kick_fds[1], CONTROL_FD_KICK + 1) == CONTROL_FD_KICK + 1);
    CHECK(dup2(bed.front.call_fd, CONTROL_FD_CALL) == CONTROL_FD_CALL);
    bed.control.setup.ring_size = ring_size;
    bed.control.setup.memory_bytes = bed.front.memory_bytes;
}

/* ---- frames go round ---- */

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "test_moments: %s, stopped at: %s\n", what, bed.at);
    exit(1);
}

/* Whether both sides sleep, and no frame arrived before they did. A thread that is preempted on its
 * way into a sleep, but will not sleep, appears to sleep; so the check is repeated after a time. */
static bool are_left_asleep(void)
{
    struct pollfd back = {.fd = bed.carrier[0], .events = POLLIN};

    return moments_all_asleep() && poll(&back, 1, CONFIRM_MS) == 0 && moments_all_asleep() &&
           poll(&back, 1, 0) == 0;
}

/* Wait for the next returned frame. */
static uint32_t take_one(void)
{
    uint32_t bytes[FRAME_BYTES / sizeof(uint32_t)];

    for (;;) {
        ssize_t len = recv(bed.carrier[0], bytes, sizeof(bytes), MSG_DONTWAIT);
        if (len > 0) {
            CHECK(len == FRAME_BYTES);
            return bytes[0];
        }
        if (are_left_asleep())
            fail("both sides sleep, and frames are in flight");
        sched_yield();
    }
}

static void go_round(unsigned nb_frames, unsigned nb_rounds)
{
    uint32_t bytes[FRAME_BYTES / sizeof(uint32_t)] = {0};

    for (unsigned round = 0; round < nb_rounds; round++) {
        uint64_t sum = 0, back = 0;
        for (uint32_t i = 1; i <= nb_frames; i++) {
            bytes[0] = round * nb_frames + i;
            sum += bytes[0];
            CHECK(send(bed.carrier[0], bytes, sizeof(bytes), 0) == sizeof(bytes));
        }
        for (unsigned i = 0; i < nb_frames; i++)
            back += take_one();
        CHECK(back == sum);
    }
}

/* Connect a device, send frames round, disconnect it; the driver stays. */
static void try_at(const char *at, unsigned nb_frames, unsigned nb_rounds)
{
    int bytes = 1 << 20;
    pthread_t device;

    bed.at = at;
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, bed.carrier) == 0);
    for (unsigned i = 0; i < 2; i++)
        CHECK(setsockopt(bed.carrier[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) == 0);
    atomic_store(&bed.device_is_up, false);
    CHECK(pthread_create(&device, NULL, relay, NULL) == 0);
    link_up();
    go_round(nb_frames, nb_rounds);
    moments_stop_at(NULL);
    moments_stop_anywhere(0, 0);
    CHECK(shutdown(bed.carrier[0], SHUT_WR) == 0); /* disconnect */
    CHECK(pthread_join(device, NULL) == 0);
    link_down();
    close(bed.carrier[0]);
    close(bed.carrier[1]);
}

static void try_all(unsigned nb_frames, unsigned nb_rounds)
{
    const char *moments[MOMENTS_MAX];
    char at[64];

    try_at("nowhere", nb_frames, nb_rounds);
    unsigned nb = moments_seen(moments);
    CHECK(nb >= LEAST_MOMENTS);
    for (unsigned i = 0; i < nb; i++) {
        moments_stop_at(moments[i]);
        try_at(moments[i], nb_frames, nb_rounds);
    }
    for (unsigned seed = 1; seed <= SEEDS; seed++) {
        snprintf(at, sizeof(at), "one moment in %u, seed %u", 1 + seed % 4, seed);
        moments_stop_anywhere(1 + seed % 4, seed);
        try_at(at, nb_frames, nb_rounds);
    }
}

static void run(unsigned number)
{
    const char *folder = getenv("TMPDIR");
    pthread_t driver;

    snprintf(bed.folder, sizeof(bed.folder), "%.30s/nearmetal-moments-%ld",
             folder != NULL ? folder : "/tmp", (long)getpid());
    CHECK(mkdir(bed.folder, 0700) == 0);
    snprintf(bed.socket, sizeof(bed.socket), "%s/socket", bed.folder);
    open_front(cases[number].ring_size, cases[number].events);
    CHECK(pthread_create(&driver, NULL, drive, NULL) == 0);
    try_all(cases[number].nb_frames, cases[number].nb_rounds);
    atomic_store(&bed.driver_ends, true);
    wake();
    CHECK(pthread_join(driver, NULL) == 0);
    vhost_front_close(&bed.front);
    CHECK(rmdir(bed.folder) == 0);
}

/* Run one case, selected by its number: a process has one netdev. */
int main(int argc, char **argv)
{
    CHECK(argc == 2);
    unsigned number = (unsigned)strtoul(argv[1], NULL, 10);
    CHECK(number < sizeof(cases) / sizeof(cases[0]));
    printf("%s\n", cases[number].name);
    run(number);
    return 0;
}
