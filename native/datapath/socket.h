/* SPDX-License-Identifier: BSD-3-Clause */
/* Shared by the socket datapaths: opening, addresses, and the local address of a request. */
#ifndef NEARMETAL_SOCKET_H
#define NEARMETAL_SOCKET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "datapath.h"

/* The largest UDP payload over IPv4 is 65,507 bytes, over IPv6 (no jumbograms) 65,527. */
#define UDP_PAYLOAD_BYTES_MAX 65536u
/* Distance of buffers: they start in different cache sets; at 64 KiB all would share one. */
#define UDP_BUFFER_STRIDE_BYTES (UDP_PAYLOAD_BYTES_MAX + 3 * 64)

struct udp_socket {
    int fd;
    bool wildcard; /* bound to every address: a reply must leave from the address of its request */
    bool poll;
    char error[224];
};

/* The peer of a request and, on a wildcard socket, the local address of the request. The kernel
 * writes both on receive and reads the same bytes back on send. */
struct udp_peer {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } name;
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

/* Open and bind. Returns NULL, or a sentence. Blocking waits end after DATAPATH_WAIT_NS. */
const char *udp_open(struct udp_socket *udp, const struct datapath_config *config);

/* Whether the kernel supports UDP_SEGMENT (udp(7)). A kernel without it would send a joined message
 * as one long datagram. */
bool udp_can_segment(const struct udp_socket *udp);

struct source udp_listen(const struct udp_socket *udp);

/* Return the peer in the service's form: IPv4 mapped into IPv6. */
struct source udp_source(const struct udp_peer *peer);

/* Count a receive that returned nothing, by its errno: the wait ended, or an error. */
void udp_count_empty(struct datapath_stats *stats);

#endif
