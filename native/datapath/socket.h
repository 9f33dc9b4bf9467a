/* SPDX-License-Identifier: BSD-3-Clause */
/* What the socket datapaths share: opening, addresses, and the address a request was sent to. */
#ifndef NEARMETAL_SOCKET_H
#define NEARMETAL_SOCKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "datapath.h"

/* The largest UDP payload over IPv4 is 65,507 bytes, over IPv6 (no jumbograms) 65,527. */
#define UDP_PAYLOAD_BYTES_MAX 65536u
/* Buffers this far apart start in different cache sets; whole 64 KiB apart, all would share one. */
#define UDP_BUFFER_STRIDE_BYTES (UDP_PAYLOAD_BYTES_MAX + 3 * 64)

struct udp_socket {
    int fd;
    bool wildcard; /* bound to every address: replies must leave from the address asked */
    bool poll;
    char error[224];
};

/* Where a request came from and, on a wildcard socket, which address it was sent to. The kernel
 * writes it on receive and reads the same bytes back on send. */
struct udp_peer {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name;
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* NULL, or a sentence. Blocking waits end after DATAPATH_WAIT_NS. */
const char *udp_open(struct udp_socket *udp, const struct datapath_config *config);

/* Whether the kernel knows UDP_SEGMENT (udp(7)): one that does not would take a joined message for
 * one long datagram. */
bool udp_can_segment(const struct udp_socket *udp);

struct source udp_listen(const struct udp_socket *udp);

/* The peer in the service's form: IPv4 mapped into IPv6. */
struct source udp_source(const struct udp_peer *peer);

/* Count a receive that brought nothing by its errno: a wait that ended, or an error. */
void udp_count_empty(struct datapath_stats *stats);

#endif
