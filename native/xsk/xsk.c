/* SPDX-License-Identifier: BSD-3-Clause */
#include "xsk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <xdp/xsk.h>

#include "xsk_program.h"

#define QUEUE 0u
#define SEND_CALLS_MAX 8u /* of 32 frames each, so a burst needs half of them */
#define HUGE_BYTES ((size_t)2 << 20)
#define SEND_BUFFER_BYTES (4 << 20)

_Static_assert(XSK_BURST_MAX <= SEND_CALLS_MAX / 2 * 32, "a burst leaves in one xsk_send");

struct xsk {
    struct xsk_rings rings;
    struct xsk_umem *umem;
    struct xsk_socket *socket;
    uint8_t *frames; /* XSK_UMEM_BYTES */
    int fd;          /* of the socket */
    int inet;        /* a socket for questions about the interface */
    bool zero_copy;
    uint64_t nb_syscalls;
    struct xsk_program program;
    struct ifreq iface;
    uint8_t mac[6];
};

static const char *said(const char *what, int error)
{
    static char text[192];

    snprintf(text, sizeof(text), "%s: %s", what, strerror(error));
    return text;
}

static const char *iface_look(struct xsk *xsk, const char *name)
{
    static char text[96];

    if (strlen(name) >= sizeof(xsk->iface.ifr_name))
        return "--iface: no interface has so long a name";
    strcpy(xsk->iface.ifr_name, name);
    xsk->inet = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (xsk->inet < 0)
        return said("cannot open a socket", errno);
    if (ioctl(xsk->inet, SIOCGIFHWADDR, &xsk->iface) != 0) {
        snprintf(text, sizeof(text), "--iface %s: %s", name, strerror(errno));
        return text;
    }
    memcpy(xsk->mac, xsk->iface.ifr_hwaddr.sa_data, sizeof(xsk->mac));
    return NULL;
}

/* The UMEM is locked memory. Root has no limit; another user gets what it may raise its limit to.
 */
static const char *umem_open(struct xsk *xsk, struct xsk_ring_prod *fill,
                             struct xsk_ring_cons *completion)
{
    const struct xsk_umem_config config = {
        .fill_size = XSK_RX_FRAMES, .comp_size = XSK_TX_FRAMES, .frame_size = XSK_FRAME_BYTES};
    struct rlimit limit;
    int error;

    xsk->frames = aligned_alloc(HUGE_BYTES, (XSK_UMEM_BYTES + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
    if (xsk->frames == NULL)
        return "out of memory";
    (void)madvise(xsk->frames, XSK_UMEM_BYTES, MADV_HUGEPAGE);
    memset(xsk->frames, 0, XSK_UMEM_BYTES);
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_MEMLOCK, &limit);
    }
    error = xsk_umem__create(&xsk->umem, xsk->frames, XSK_UMEM_BYTES, fill, completion, &config);
    if (error == 0)
        return NULL;
    xsk->umem = NULL;
    return said(error == -ENOBUFS
                    ? "AF_XDP: no memory may be locked (raise the limit with ulimit -l)"
                    : "cannot open an AF_XDP socket (it needs CAP_NET_RAW)",
                -error);
}

static struct xsk_ring ring_of(uint32_t *producer, uint32_t *consumer, uint32_t *flags,
                               void *entries, uint32_t size)
{
    return (struct xsk_ring){.producer = (_Atomic uint32_t *)(void *)producer,
                             .consumer = (_Atomic uint32_t *)(void *)consumer,
                             .flags = (_Atomic uint32_t *)(void *)flags,
                             .entries = entries,
                             .size = size};
}

#define RING_OF(from)                                                                              \
    ring_of((from).producer, (from).consumer, (from).flags, (from).ring, (from).size)

#define FREED_TRIES 2000u /* of 1 ms */

/* The kernel frees the queue of a socket some time after the socket was closed, so a busy queue may
 * be that of a program that has just ended. Return 0, or an error number. */
static int socket_bind(struct xsk *xsk, struct xsk_ring_cons *rx, struct xsk_ring_prod *tx,
                       const struct xsk_socket_config *config)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    int error = -EBUSY;

    for (unsigned i = 0; i < FREED_TRIES && error == -EBUSY; i++) {
        if (i > 0)
            (void)nanosleep(&pause, NULL);
        error =
            xsk_socket__create(&xsk->socket, xsk->iface.ifr_name, QUEUE, xsk->umem, rx, tx, config);
    }
    return -error;
}

/* Without a flag for it, the kernel uses zero-copy where the driver has it. */
static const char *socket_open(struct xsk *xsk)
{
    const struct xsk_socket_config config = {.rx_size = XSK_RX_FRAMES,
                                             .tx_size = XSK_TX_FRAMES,
                                             .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
                                             .bind_flags = XDP_USE_NEED_WAKEUP};
    struct xsk_ring_prod fill, tx;
    struct xsk_ring_cons completion, rx;
    struct xdp_options options = {0};
    socklen_t bytes = sizeof(options);
    int room = SEND_BUFFER_BYTES, error;
    const char *why = umem_open(xsk, &fill, &completion);

    if (why != NULL)
        return why;
    error = socket_bind(xsk, &rx, &tx, &config);
    if (error != 0) {
        xsk->socket = NULL;
        return said(error == EBUSY ? "another AF_XDP socket uses queue 0 of the interface"
                                   : "cannot bind an AF_XDP socket to the interface",
                    error);
    }
    xsk->fd = xsk_socket__fd(xsk->socket);
    if (getsockopt(xsk->fd, SOL_XDP, XDP_OPTIONS, &options, &bytes) == 0)
        xsk->zero_copy = (options.flags & XDP_OPTIONS_ZEROCOPY) != 0;
    if (setsockopt(xsk->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) != 0)
        (void)setsockopt(xsk->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    xsk_rings_init(&xsk->rings, &(struct xsk_memory){.fill = RING_OF(fill),
                                                     .rx = RING_OF(rx),
                                                     .tx = RING_OF(tx),
                                                     .completion = RING_OF(completion),
                                                     .umem = xsk->frames});
    return NULL;
}

const char *xsk_open(struct xsk **out, const struct xsk_config *config)
{
    struct xsk *xsk = calloc(1, sizeof(*xsk));
    const char *why;

    if (xsk == NULL)
        return "out of memory";
    xsk->inet = -1;
    xsk->program = XSK_NO_PROGRAM;
    why = iface_look(xsk, config->iface);
    if (why == NULL)
        why = socket_open(xsk);
    if (why == NULL)
        why = xsk_program_attach(&xsk->program, xsk->fd, config);
    if (why == NULL)
        *out = xsk;
    else
        xsk_close(xsk);
    return why;
}

void xsk_mac(const struct xsk *xsk, uint8_t mac[6])
{
    memcpy(mac, xsk->mac, sizeof(xsk->mac));
}

bool xsk_up(const struct xsk *xsk)
{
    struct ifreq iface = xsk->iface;

    return !xsk->rings.broken && ioctl(xsk->inet, SIOCGIFFLAGS, &iface) == 0 &&
           (iface.ifr_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
}

const char *xsk_mode(const struct xsk *xsk)
{
    return xsk->program.native ? "native" : "generic";
}

bool xsk_is_zero_copy(const struct xsk *xsk)
{
    return xsk->zero_copy;
}

/* Have the kernel take what is in the transmit ring. What it does not take now is offered again by
 * a later call. */
static void unsent_offer(struct xsk *xsk)
{
    for (unsigned calls = 0; calls < SEND_CALLS_MAX && xsk_rings_unsent(&xsk->rings) > 0; calls++) {
        if (!xsk_ring_wants_call(&xsk->rings.memory.tx))
            return;
        xsk->nb_syscalls++;
        if (sendto(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) != 0 && errno != EAGAIN)
            return;
    }
}

unsigned xsk_lend(struct xsk *xsk, struct xsk_frame *rooms, unsigned nb)
{
    return xsk_rings_lend(&xsk->rings, rooms, nb);
}

void xsk_send(struct xsk *xsk, const struct xsk_frame *frames, unsigned nb)
{
    xsk_rings_send(&xsk->rings, frames, nb);
    unsent_offer(xsk);
}

/* A driver that ran out of empty frames sleeps until it is called. */
static void filled_tell(struct xsk *xsk)
{
    if (!xsk_ring_wants_call(&xsk->rings.memory.fill))
        return;
    xsk->nb_syscalls++;
    (void)recvfrom(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

unsigned xsk_receive(struct xsk *xsk, struct xsk_frame *frames, unsigned nb)
{
    unsigned got = xsk_rings_receive(&xsk->rings, frames, nb);

    if (got == 0) {
        filled_tell(xsk);
        unsent_offer(xsk);
    }
    return got;
}

void xsk_return(struct xsk *xsk)
{
    xsk_rings_return(&xsk->rings);
}

unsigned xsk_take(struct xsk *xsk, struct xsk_frame *frames, unsigned nb)
{
    unsigned got = xsk_rings_take(&xsk->rings, frames, nb);

    if (got == 0) {
        filled_tell(xsk);
        unsent_offer(xsk);
    }
    return got;
}

unsigned xsk_alloc(struct xsk *xsk, struct xsk_frame *frames, unsigned nb)
{
    return xsk_rings_alloc(&xsk->rings, frames, nb);
}

unsigned xsk_forward(struct xsk *xsk, const struct xsk_frame *frames, unsigned nb)
{
    unsigned taken = xsk_rings_forward(&xsk->rings, frames, nb);

    unsent_offer(xsk);
    return taken;
}

void xsk_free(struct xsk *xsk, const struct xsk_frame *frames, unsigned nb)
{
    xsk_rings_free(&xsk->rings, frames, nb);
}

void xsk_wait(struct xsk *xsk, uint64_t ns)
{
    struct pollfd arrived = {.fd = xsk->fd, .events = POLLIN};
    const struct timespec time = {.tv_nsec = (long)ns};

    xsk->nb_syscalls++;
    (void)ppoll(&arrived, 1, &time, NULL); /* a signal ends it early */
}

void xsk_stats(const struct xsk *xsk, struct xsk_stats *stats)
{
    *stats = xsk->rings.stats;
    stats->nb_syscalls = xsk->nb_syscalls;
}

void xsk_close(struct xsk *xsk)
{
    xsk_program_detach(&xsk->program);
    if (xsk->socket != NULL)
        xsk_socket__delete(xsk->socket);
    if (xsk->umem != NULL)
        (void)xsk_umem__delete(xsk->umem);
    if (xsk->inet >= 0)
        close(xsk->inet);
    free(xsk->frames);
    free(xsk);
}
