/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sends requests of one flow by sendmmsg, each as a message of its own or several as one.
 *
 * With UDP_SEGMENT (udp(7)) requests of equal length cross the sender's network stack as one
 * message. The kernel cuts it into datagrams at the sender's device; with tx-udp-segmentation off,
 * before that device, so that the receiver's stack sees one packet a request. Requests are ordered
 * by length for this, shortest first: a SET is longer than a GET of its key, so a GET that was
 * drawn before the SET still leaves before it.
 *
 * The kernel may refuse a joined message: a route with a small MTU, a device that computes no
 * checksums. Its requests are then sent one by one, and it is counted. The next message is joined
 * again.
 */
#ifndef NEARMETAL_TG_MESSAGES_H
#define NEARMETAL_TG_MESSAGES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "port.h"

/* The control message with the length of each segment. */
struct segment_control {
    _Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
};

struct messages {
    bool joins;          /* join requests of equal length */
    uint64_t nb_joined;  /* messages of several requests that were sent */
    uint64_t nb_refused; /* messages of several requests that the kernel refused */
    struct mmsghdr headers[PORT_BURST_MAX];
    struct iovec requests[PORT_BURST_MAX];
    struct segment_control controls[PORT_BURST_MAX];
};

/* Whether this kernel has UDP_SEGMENT. Without it a joined message would leave as one long
 * datagram. */
bool messages_can_join(int fd);

/* Send requests of one flow; nb <= PORT_BURST_MAX. Those that cannot be sent count as lost. */
void messages_send(struct messages *messages, int fd, const struct datagram *requests, unsigned nb);

#endif
