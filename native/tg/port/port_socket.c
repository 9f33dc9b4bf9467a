/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generator's port over UDP sockets: one connected socket per flow, recvmmsg and sendmmsg
 * (messages.h).
 *
 * If the server or the network stack joined replies of one flow (UDP_GRO), one message holds
 * several of them. They are separated here, which is cheaper than in the kernel.
 *
 * Sockets are polled in turn without blocking. No thread sleeps on them, so a reply that arrives
 * wakes no thread: a wake-up would cost time on the core that delivers the reply, which may be the
 * target's.
 */
#include "port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "messages.h"

#define SOCKET_BYTES_PER_REQUEST 4096 /* kernel memory for a datagram, rounded up */
#define SOCKET_BYTES_MIN (1 << 20)
#define MESSAGE_BYTES_MAX 65536u
/* At distances of exactly 64 KiB all messages would begin in the same cache set. */
#define MESSAGE_STRIDE_BYTES (MESSAGE_BYTES_MAX + 3 * 64)

/* Room for the control message with the length of each joined datagram. */
struct join_control {
    _Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(int))];
};

struct port {
    uint32_t nb_flows;
    uint32_t cursor; /* flow to poll next */
    /* The last receive: messages of one flow, separated up to `offset` of `message`. */
    uint32_t rx_flow, message, nb_messages, offset;
    uint32_t request_bytes, reply_bytes;
    int *sockets;
    uint8_t *rooms, *replies; /* PORT_BURST_MAX each */
    struct messages messages; /* to send */
    struct mmsghdr rx[PORT_BURST_MAX];
    struct iovec rx_iov[PORT_BURST_MAX];
    struct join_control rx_control[PORT_BURST_MAX];
};

static const char *target_parse(const char *target, struct addrinfo **info)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_DGRAM};
    char addr[INET6_ADDRSTRLEN + 20];
    const char *colon = strrchr(target, ':');
    size_t len = colon == NULL ? 0 : (size_t)(colon - target);
    long number = colon == NULL ? 0 : strtol(colon + 1, NULL, 10); /* getaddrinfo cuts to 16 bits */

    if (len > 2 && target[0] == '[' && target[len - 1] == ']') {
        target++;
        len -= 2;
    }
    if (colon == NULL || len == 0 || len >= sizeof(addr))
        return "--target: expected ADDR:PORT or [ADDR]:PORT";
    memcpy(addr, target, len);
    addr[len] = '\0';
    if (number < 1 || number > 65535 || getaddrinfo(addr, colon + 1, &hints, info) != 0)
        return "--target: expected a numeric address, and a port from 1 to 65535";
    return NULL;
}

/* Refuse options of the frame editions. NULL: none is given. */
static const char *frames_refuse(const struct port_frames_config *frames)
{
    static const uint8_t none[4];

    if (memcmp(frames->source, none, 4) != 0 || frames->has_target_mac || frames->checksums ||
        frames->faults != NULL || frames->wire.socket_path != NULL || frames->wire.connect ||
        frames->wire.iface != NULL)
        return "--source, --target-mac, --checksums, --faults, --socket, --connect and --iface are "
               "options of the frame editions: nm-load-vhost, nm-load-ethdev and nm-load-xdp";
    return frames->wire.nb_args > 0 ? "takes no arguments besides its options (see --help)" : NULL;
}

const char *port_check(const struct port_config *config)
{
    struct addrinfo *info = NULL;
    const char *why;

    if (config->target == NULL)
        return "--target ADDR:PORT is missing";
    why = target_parse(config->target, &info);
    if (info != NULL)
        freeaddrinfo(info);
    return why != NULL ? why : frames_refuse(&config->frames);
}

/* Make room for all replies that can be in flight, within the system's limit. */
static void socket_room(int fd, uint32_t window)
{
    int bytes = (int)(window > 16384 ? 16384 : window) * SOCKET_BYTES_PER_REQUEST;

    if (bytes < SOCKET_BYTES_MIN)
        bytes = SOCKET_BYTES_MIN;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

/* Receive joined replies as one message; without kernel support they arrive one by one. */
static void socket_join(int fd)
{
    int on = 1;

    (void)setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof(on));
}

/* Bind to this port at any address. */
static bool socket_bind(int fd, int family, uint32_t number)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number)};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)number)};

    if (family == AF_INET)
        return bind(fd, (const struct sockaddr *)&ipv4, sizeof(ipv4)) == 0;
    return bind(fd, (const struct sockaddr *)&ipv6, sizeof(ipv6)) == 0;
}

/* Open a socket connected to the target, with this source port; 0: any. -1: see errno. */
static int socket_open(const struct addrinfo *info, uint32_t source_port)
{
    int fd = socket(info->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if ((source_port == 0 || socket_bind(fd, info->ai_family, source_port)) &&
        connect(fd, info->ai_addr, info->ai_addrlen) == 0)
        return fd;
    close(fd);
    return -1;
}

static const char *sockets_open(struct port *port, const struct port_config *config)
{
    static char error[192];
    struct addrinfo *info = NULL;
    const char *why = target_parse(config->target, &info);

    for (; why == NULL && port->nb_flows < config->nb_flows; port->nb_flows++) {
        uint32_t from = config->source_port == 0 ? 0 : config->source_port + port->nb_flows;
        int fd = socket_open(info, from);

        if (fd < 0) {
            if (from == 0)
                snprintf(error, sizeof(error), "cannot open a socket to the target: %s",
                         strerror(errno));
            else
                snprintf(error, sizeof(error),
                         "--source-port: cannot open a socket with source port %u: %s; %s", from,
                         strerror(errno),
                         errno == EACCES /* ip(7): below net.ipv4.ip_unprivileged_port_start */
                             ? "ports this low need root or CAP_NET_BIND_SERVICE; give a higher one"
                             : "give another one");
            why = error;
            break;
        }
        socket_room(fd, config->window);
        socket_join(fd);
        port->sockets[port->nb_flows] = fd;
    }
    if (why == NULL && config->segment && !messages_can_join(port->sockets[0]))
        why = "--segment: this kernel has no UDP_SEGMENT (Linux 4.18)";
    port->messages.joins = config->segment;
    if (info != NULL)
        freeaddrinfo(info);
    return why;
}

static void messages_init(struct port *port)
{
    for (unsigned i = 0; i < PORT_BURST_MAX; i++) {
        port->rx[i].msg_hdr.msg_iov = &port->rx_iov[i];
        port->rx[i].msg_hdr.msg_iovlen = 1;
        port->rx_iov[i].iov_base = port->replies + (size_t)i * MESSAGE_STRIDE_BYTES;
        port->rx_iov[i].iov_len = MESSAGE_BYTES_MAX;
        port->rx[i].msg_hdr.msg_control = port->rx_control[i].bytes;
        port->rx[i].msg_hdr.msg_controllen = sizeof(port->rx_control[i].bytes);
    }
}

const char *port_open(struct port **out, const struct port_config *config)
{
    struct port *port = calloc(1, sizeof(*port));
    const char *why;

    if (port == NULL)
        return "out of memory";
    port->request_bytes = (config->request_bytes + 63) & ~63u;
    port->reply_bytes = config->reply_bytes + 1; /* one more shows that a reply is too long */
    port->sockets = calloc(config->nb_flows, sizeof(*port->sockets));
    port->rooms = calloc(PORT_BURST_MAX, port->request_bytes);
    port->replies = calloc(PORT_BURST_MAX, MESSAGE_STRIDE_BYTES);
    *out = port;
    if (port->sockets == NULL || port->rooms == NULL || port->replies == NULL)
        why = "out of memory";
    else
        why = sockets_open(port, config);
    if (why == NULL)
        messages_init(port);
    else
        port_close(port);
    return why;
}

unsigned port_lend(struct port *port, struct datagram *datagrams, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++)
        datagrams[i].data = port->rooms + (size_t)i * port->request_bytes;
    return nb;
}

void port_tx_burst(struct port *port, const struct datagram *datagrams, unsigned nb)
{
    unsigned first = 0;

    for (unsigned i = 0; i < nb; i++) {
        uint32_t flow = datagrams[first].flow;

        if (i + 1 < nb && datagrams[i + 1].flow == flow)
            continue;
        messages_send(&port->messages, port->sockets[flow], &datagrams[first], i + 1 - first);
        first = i + 1;
    }
}

/* Length of each datagram in a message; the last one may be shorter. */
static uint32_t segment_bytes(struct mmsghdr *message)
{
    for (struct cmsghdr *control = CMSG_FIRSTHDR(&message->msg_hdr); control != NULL;
         control = CMSG_NXTHDR(&message->msg_hdr, control)) {
        int bytes;

        if (control->cmsg_level != SOL_UDP || control->cmsg_type != UDP_GRO)
            continue;
        memcpy(&bytes, CMSG_DATA(control), sizeof(bytes));
        if (bytes > 0)
            return (uint32_t)bytes;
    }
    return MESSAGE_BYTES_MAX;
}

/* Separate the received messages into datagrams, as many as fit. */
static unsigned cut_up(struct port *port, struct datagram *datagrams, unsigned nb_max)
{
    unsigned nb = 0;

    while (nb < nb_max && port->message < port->nb_messages) {
        struct mmsghdr *message = &port->rx[port->message];
        uint32_t left = message->msg_len - port->offset, segment = segment_bytes(message);
        uint32_t len = left < segment ? left : segment;

        datagrams[nb++] =
            (struct datagram){.data = (uint8_t *)message->msg_hdr.msg_iov->iov_base + port->offset,
                              .len = len < port->reply_bytes ? len : port->reply_bytes,
                              .flow = port->rx_flow};
        port->offset += len;
        if (port->offset < message->msg_len)
            continue;
        port->offset = 0;
        port->message++;
    }
    return nb;
}

static void receive(struct port *port, uint32_t flow)
{
    for (uint32_t i = 0; i < port->nb_messages; i++) /* the kernel shortened the used ones */
        port->rx[i].msg_hdr.msg_controllen = sizeof(port->rx_control[i].bytes);
    int got = recvmmsg(port->sockets[flow], port->rx, PORT_BURST_MAX, MSG_DONTWAIT, NULL);

    port->nb_messages = got > 0 ? (uint32_t)got : 0;
    port->message = port->offset = 0;
    port->rx_flow = flow;
}

/* A round ends when its last reply is handed over, not at its last receive. */
static bool round_ended(const struct port *port)
{
    return port->cursor == 0 && port->message == port->nb_messages;
}

bool port_is_up(const struct port *port)
{
    (void)port;
    return true;
}

void port_ahead(struct port *port, unsigned nb)
{
    (void)port, (void)nb;
}

unsigned port_rx_burst(struct port *port, struct datagram *datagrams, unsigned nb, bool *round)
{
    unsigned got = cut_up(port, datagrams, nb);

    if (got > 0)
        *round |= round_ended(port);
    for (uint32_t polled = 0; got == 0 && polled < port->nb_flows; polled++) {
        receive(port, port->cursor);
        if (++port->cursor == port->nb_flows)
            port->cursor = 0;
        got = cut_up(port, datagrams, nb);
        *round |= round_ended(port);
    }
    return got;
}

void port_stats(const struct port *port, struct port_stats *stats)
{
    *stats = (struct port_stats){.has_segments = port->messages.joins, /* no frames: the kernel's */
                                 .nb_joined = port->messages.nb_joined,
                                 .nb_refused = port->messages.nb_refused};
}

void port_close(struct port *port)
{
    for (uint32_t i = 0; i < port->nb_flows; i++)
        close(port->sockets[i]);
    free(port->sockets);
    free(port->rooms);
    free(port->replies);
    free(port);
}
