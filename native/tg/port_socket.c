/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generator's port over UDP sockets: one connected socket per flow, recvmmsg and sendmmsg.
 *
 * Sockets are polled in turn without blocking. Nothing sleeps on them, so an arriving reply wakes
 * nobody: that would cost time on the core that delivers it, which may be the target's.
 */
#include "port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEND_TRIES_MAX 8u
#define SOCKET_BYTES_PER_REQUEST 4096 /* what the kernel books for a datagram, generously */
#define SOCKET_BYTES_MIN (1 << 20)

struct port {
    uint32_t nb_flows;
    uint32_t cursor; /* flow to poll next */
    uint32_t request_bytes, reply_bytes;
    int *sockets;
    uint8_t *rooms, *replies; /* PORT_BURST_MAX each */
    struct mmsghdr tx[PORT_BURST_MAX], rx[PORT_BURST_MAX];
    struct iovec tx_iov[PORT_BURST_MAX], rx_iov[PORT_BURST_MAX];
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
        return "--target: ADDR:PORT or [ADDR]:PORT wanted";
    memcpy(addr, target, len);
    addr[len] = '\0';
    if (number < 1 || number > 65535 || getaddrinfo(addr, colon + 1, &hints, info) != 0)
        return "--target: the address or the port is not a numeric one";
    return NULL;
}

const char *port_target_check(const char *target)
{
    struct addrinfo *info = NULL;
    const char *why = target_parse(target, &info);

    if (info != NULL)
        freeaddrinfo(info);
    return why;
}

/* Room for all replies that can be in flight; as far as the system's limit allows. */
static void socket_room(int fd, uint32_t window)
{
    int bytes = (int)(window > 16384 ? 16384 : window) * SOCKET_BYTES_PER_REQUEST;

    if (bytes < SOCKET_BYTES_MIN)
        bytes = SOCKET_BYTES_MIN;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) != 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static const char *sockets_open(struct port *port, const struct port_config *config)
{
    static char error[128];
    struct addrinfo *info = NULL;
    const char *why = target_parse(config->target, &info);

    for (; why == NULL && port->nb_flows < config->nb_flows; port->nb_flows++) {
        int fd = socket(info->ai_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

        if (fd < 0 || connect(fd, info->ai_addr, info->ai_addrlen) != 0) {
            snprintf(error, sizeof(error), "cannot open a socket towards the target: %s",
                     strerror(errno));
            why = error;
            if (fd >= 0)
                close(fd);
            break;
        }
        socket_room(fd, config->window);
        port->sockets[port->nb_flows] = fd;
    }
    if (info != NULL)
        freeaddrinfo(info);
    return why;
}

static void messages_init(struct port *port)
{
    for (unsigned i = 0; i < PORT_BURST_MAX; i++) {
        port->tx[i].msg_hdr.msg_iov = &port->tx_iov[i];
        port->tx[i].msg_hdr.msg_iovlen = 1;
        port->rx[i].msg_hdr.msg_iov = &port->rx_iov[i];
        port->rx[i].msg_hdr.msg_iovlen = 1;
        port->rx_iov[i].iov_base = port->replies + (size_t)i * port->reply_bytes;
        port->rx_iov[i].iov_len = port->reply_bytes;
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
    port->replies = calloc(PORT_BURST_MAX, port->reply_bytes);
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

void port_lend(struct port *port, struct datagram *datagrams, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++)
        datagrams[i].data = port->rooms + (size_t)i * port->request_bytes;
}

/* A refused or interrupted call sends nothing: try again. What fails often is given up. */
static void messages_send(int fd, struct mmsghdr *messages, unsigned nb)
{
    unsigned done = 0;

    for (unsigned tries = 0; done < nb && tries < SEND_TRIES_MAX; tries++) {
        int sent = sendmmsg(fd, messages + done, nb - done, 0);

        if (sent > 0)
            done += (unsigned)sent;
    }
}

void port_tx_burst(struct port *port, const struct datagram *datagrams, unsigned nb)
{
    unsigned first = 0;

    for (unsigned i = 0; i < nb; i++) {
        port->tx_iov[i].iov_base = datagrams[i].data;
        port->tx_iov[i].iov_len = datagrams[i].len;
        if (i + 1 < nb && datagrams[i + 1].flow == datagrams[first].flow)
            continue;
        messages_send(port->sockets[datagrams[first].flow], &port->tx[first], i + 1 - first);
        first = i + 1;
    }
}

unsigned port_rx_burst(struct port *port, struct datagram *datagrams, unsigned nb, bool *round)
{
    for (uint32_t polled = 0; polled < port->nb_flows; polled++) {
        uint32_t flow = port->cursor;
        int got = recvmmsg(port->sockets[flow], port->rx, nb, MSG_DONTWAIT, NULL);

        if (++port->cursor == port->nb_flows) {
            port->cursor = 0;
            *round = true;
        }
        for (int i = 0; i < got; i++) {
            datagrams[i].data = port->rx_iov[i].iov_base;
            datagrams[i].len = port->rx[i].msg_len;
            datagrams[i].flow = flow;
        }
        if (got > 0)
            return (unsigned)got;
    }
    return 0;
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
