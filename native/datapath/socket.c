/* SPDX-License-Identifier: BSD-3-Clause */
/* Open a UDP socket, and convert addresses (RFC 4291 2.5.5.2 for IPv4 in 16 bytes). */
#include "socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

/* Enough for a burst of every flow while the server is off the core. */
#define RECEIVE_BUFFER_BYTES (8 << 20)

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static socklen_t name_of(const struct source *source, struct udp_peer *peer)
{
    memset(&peer->name, 0, sizeof(peer->name));
    if (memcmp(source->addr, mapped_prefix, sizeof(mapped_prefix)) == 0) {
        peer->name.v4.sin_family = AF_INET;
        peer->name.v4.sin_port = htons(source->port);
        memcpy(&peer->name.v4.sin_addr, source->addr + 12, 4);
        return sizeof(peer->name.v4);
    }
    peer->name.v6.sin6_family = AF_INET6;
    peer->name.v6.sin6_port = htons(source->port);
    memcpy(&peer->name.v6.sin6_addr, source->addr, 16);
    return sizeof(peer->name.v6);
}

struct source udp_source(const struct udp_peer *peer)
{
    struct source source;

    if (peer->name.any.sa_family == AF_INET) {
        memcpy(source.addr, mapped_prefix, sizeof(mapped_prefix));
        memcpy(source.addr + 12, &peer->name.v4.sin_addr, 4);
        source.port = ntohs(peer->name.v4.sin_port);
    } else {
        memcpy(source.addr, &peer->name.v6.sin6_addr, 16);
        source.port = ntohs(peer->name.v6.sin6_port);
    }
    return source;
}

struct source udp_listen(const struct udp_socket *udp)
{
    struct udp_peer local = {0};
    socklen_t bytes = sizeof(local.name);

    getsockname(udp->fd, &local.name.any, &bytes);
    return udp_source(&local);
}

bool udp_can_segment(const struct udp_socket *udp)
{
    int bytes;
    socklen_t room = sizeof(bytes);

    return getsockopt(udp->fd, SOL_UDP, UDP_SEGMENT, &bytes, &room) == 0;
}

void udp_count_empty(struct datapath_stats *stats)
{
    if (errno == EAGAIN || errno == EINTR)
        stats->nb_empty_rx++;
    else
        stats->nb_rx_errors++;
}

static bool is_wildcard(const struct udp_peer *local)
{
    if (local->name.any.sa_family == AF_INET)
        return local->name.v4.sin_addr.s_addr == htonl(INADDR_ANY);
    return memcmp(&local->name.v6.sin6_addr, &in6addr_any, sizeof(in6addr_any)) == 0;
}

static void set_option(int fd, int level, int name, int value)
{
    /* Options set here are improvements only: errors are ignored. */
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

static void configure(const struct udp_socket *udp, int family)
{
    struct timeval wait = {.tv_usec = DATAPATH_WAIT_NS / 1000};

    (void)setsockopt(udp->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    set_option(udp->fd, SOL_SOCKET, SO_RCVBUF, RECEIVE_BUFFER_BYTES);
    set_option(udp->fd, SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES); /* needs NET_ADMIN */
    if (udp->wildcard && family == AF_INET)
        set_option(udp->fd, IPPROTO_IP, IP_PKTINFO, 1);
    if (udp->wildcard && family == AF_INET6)
        set_option(udp->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
}

static const char *bind_remedy(int error)
{
    if (error == EADDRINUSE)
        return "stop the other server or give another --listen";
    if (error == EACCES) /* ip(7): below net.ipv4.ip_unprivileged_port_start */
        return "ports below net.ipv4.ip_unprivileged_port_start (usually 1024) need root or "
               "CAP_NET_BIND_SERVICE; give a higher one to --listen";
    return "give an address of this machine to --listen";
}

const char *udp_open(struct udp_socket *udp, const struct datapath_config *config)
{
    struct udp_peer local;
    socklen_t name_bytes = name_of(&config->listen, &local);
    int family = local.name.any.sa_family;
    int off = 0;

    if (config->nb_args > 0)
        return "arguments behind `--` are for frame datapaths; this one takes none";
    udp->wildcard = is_wildcard(&local);
    udp->poll = config->poll;
    udp->fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (udp->fd < 0) {
        snprintf(udp->error, sizeof(udp->error), "cannot open a UDP socket: %s", strerror(errno));
        return udp->error;
    }
    if (family == AF_INET6) /* [::] serves IPv4 too, as mapped addresses */
        (void)setsockopt(udp->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    configure(udp, family);
    if (bind(udp->fd, &local.name.any, name_bytes) < 0) {
        snprintf(udp->error, sizeof(udp->error), "cannot listen on UDP port %u: %s; %s",
                 config->listen.port, strerror(errno), bind_remedy(errno));
        close(udp->fd);
        return udp->error;
    }
    return NULL;
}
