/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Why a request got no reply.
 *
 * A service and (on frame datapaths) frames/ set one of these for each request; only serve.c counts
 * them. The reasons of a service's own protocol begin at DROP_SERVICE; their names are in its row
 * of the table of services. Requests are conserved: received = answered (DROP_NONE) + the sum of
 * every other counter.
 */
#ifndef NEARMETAL_DROP_H
#define NEARMETAL_DROP_H

/* Most reasons that a service may have of its own; a service in Python has 8 and those of faults.
 */
#define SERVICE_DROPS_MAX 16

/* X(constant, name in the counters) */
#define DROP_REASONS(X)                                                                            \
    X(DROP_NONE, "answered")       /* answered */                                                  \
    X(DROP_QUIET, "quiet")         /* done without a reply, as requested: noreply, quit */         \
    X(DROP_SHORT, "short")         /* too short to be a request */                                 \
    X(DROP_SOURCE, "source")       /* source outside --allow */                                    \
    X(DROP_AMPLIFY, "amplify")     /* even the shortest error would exceed 3 x the request */      \
    X(DROP_TRUNCATED, "truncated") /* longer than the datapath's buffer: the tail is lost */       \
    X(DROP_TX, "tx")               /* answered, but the datapath could not send */                 \
    /* Frames (frames/), in the order of the checks: */                                            \
    X(DROP_FRAME, "frame")         /* shorter than its headers, or longer than a frame may be */   \
    X(DROP_MAC, "mac")             /* not to our MAC address; or from a group address */           \
    X(DROP_ETHERTYPE, "ethertype") /* not ARP, not IPv4: VLAN, IPv6, ... */                        \
    X(DROP_ARP, "arp")             /* ARP; a request for our address was answered */               \
    X(DROP_IP, "ip")               /* version, IHL, length, checksum, TTL 0, options */            \
    X(DROP_FRAGMENT, "fragment")   /* IPv4 fragment */                                             \
    X(DROP_ADDR, "addr") /* not to our address; or from ours, a group, broadcast, 0/8, 127/8 */    \
    X(DROP_ICMP, "icmp") /* ICMP; a valid echo request was answered */                             \
    X(DROP_PROTOCOL, "protocol") /* not UDP, not ICMP */                                           \
    X(DROP_UDP, "udp")           /* UDP length or checksum */                                      \
    X(DROP_PORT, "port")         /* to another port; or from port 0 */

enum drop_reason {
#define X(constant, name) constant,
    DROP_REASONS(X)
#undef X
        DROP_SERVICE, /* the first of the service's own reasons */
    NB_DROP_REASONS = DROP_SERVICE + SERVICE_DROPS_MAX
};

#endif
