/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared by the socket datapaths: replies as messages, neighbouring ones to one peer joined.
 *
 * Consecutive replies to one peer cross the network stack as one message, which the device (or the
 * receiver) splits again: UDP_SEGMENT (udp(7)). It needs equal lengths, and pays only where a peer
 * has several requests in one burst.
 *
 * The kernel may refuse a joined message because of its peer: no route, a route with a small MTU, a
 * device that cannot split. The replies of that message are then sent one by one, and counted in
 * nb_tx_unjoined. The next message is joined again, for the same peer too. Nothing is joined where
 * the kernel does not support UDP_SEGMENT, which is tested at the start (udp_can_segment).
 */
#ifndef NEARMETAL_JOINING_H
#define NEARMETAL_JOINING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "datapath.h"

/* The control message with the length of each segment. */
struct joining_control {
    _Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
};

struct joining {
    bool on;                              /* join */
    struct msghdr *to[SERVICE_BURST_MAX]; /* of each request: name and control, set by the user */
    struct mmsghdr messages[SERVICE_BURST_MAX]; /* msg_iovlen: how many replies one has */
    struct iovec iov[SERVICE_BURST_MAX];
    struct joining_control segments[SERVICE_BURST_MAX];
};

/* Make messages of replies, leaving the first nb_alone replies single. Returns the number of
 * messages; they are in the order of the replies. */
unsigned joining_fill(struct joining *joining, const struct reply *replies, unsigned nb,
                      unsigned nb_alone);

/* Send replies, a burst a system call; sent[i] is set to whether reply i left. */
void joining_send(struct joining *joining, int fd, const struct reply *replies, unsigned nb,
                  bool *sent, struct datapath_stats *stats);

#endif
