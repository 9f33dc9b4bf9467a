/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datapath `sock`: one receive and one send call per datagram.
 *
 * recvfrom and sendto are the cheapest pair of the socket API. A wildcard socket needs recvmsg and
 * sendmsg, which carry the local address of the request. The reply is written into the request's
 * buffer.
 */
#include "datapath.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "socket.h"

const char datapath_name[] = "sock";

struct datapath {
    struct udp_socket udp;
    struct datapath_stats stats;
    struct udp_peer peer;
    socklen_t name_bytes;
    socklen_t control_bytes;
    uint8_t spares[SERVICE_BURST_MAX][SERVICE_DATAGRAM_BYTES];
    uint8_t buffer[UDP_PAYLOAD_BYTES_MAX];
};

const char *datapath_open(struct datapath **datapath, const struct datapath_config *config)
{
    static struct datapath sock;

    *datapath = &sock;
    return udp_open(&sock.udp, config);
}

static ssize_t receive(struct datapath *dp, int flags)
{
    dp->name_bytes = sizeof(dp->peer.name);
    if (!dp->udp.wildcard)
        return recvfrom(dp->udp.fd, dp->buffer, sizeof(dp->buffer), flags, &dp->peer.name.any,
                        &dp->name_bytes);

    struct iovec iov = {dp->buffer, sizeof(dp->buffer)};
    struct msghdr msg = {.msg_name = &dp->peer.name,
                         .msg_namelen = dp->name_bytes,
                         .msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = dp->peer.control,
                         .msg_controllen = sizeof(dp->peer.control)};
    ssize_t got = recvmsg(dp->udp.fd, &msg, flags);
    dp->name_bytes = msg.msg_namelen;
    dp->control_bytes = (socklen_t)msg.msg_controllen;
    return got;
}

static ssize_t send_one(struct datapath *dp, const struct reply *reply)
{
    if (!dp->udp.wildcard)
        return sendto(dp->udp.fd, reply->data, reply->len, 0, &dp->peer.name.any, dp->name_bytes);

    struct iovec iov = {reply->data, reply->len};
    struct msghdr msg = {.msg_name = &dp->peer.name,
                         .msg_namelen = dp->name_bytes,
                         .msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = dp->peer.control,
                         .msg_controllen = dp->control_bytes};
    ssize_t sent;

    do {
        sent = sendmsg(dp->udp.fd, &msg, 0);
        dp->stats.nb_syscalls++;
    } while (sent < 0 && errno == EINTR); /* a signal, not a refusal */
    return sent;
}

unsigned datapath_rx_burst(struct datapath *dp, struct request *requests, unsigned nb)
{
    (void)nb; /* always one */
    ssize_t got = receive(dp, dp->udp.poll ? MSG_DONTWAIT : 0);

    dp->stats.nb_syscalls++;
    if (got < 0) {
        udp_count_empty(&dp->stats);
        return 0;
    }
    requests[0] = (struct request){.data = dp->buffer,
                                   .len = (uint32_t)got,
                                   .source = udp_source(&dp->peer),
                                   .room = dp->buffer,
                                   .room_bytes = sizeof(dp->buffer)};
    return 1;
}

unsigned datapath_ahead(struct datapath *dp, struct request *requests, unsigned nb)
{
    (void)dp, (void)requests, (void)nb; /* the kernel does not show queued datagrams */
    return 0;
}

unsigned datapath_lend(struct datapath *dp, struct reply *replies, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++)
        replies[i].spare = dp->spares[i];
    return nb;
}

void datapath_tx_burst(struct datapath *dp, const struct reply *replies, unsigned nb, bool *sent)
{
    for (unsigned i = 0; i < nb; i++) {
        sent[i] = send_one(dp, &replies[i]) == (ssize_t)replies[i].len;
        dp->stats.nb_tx_errors += !sent[i];
    }
}

void datapath_release(struct datapath *dp)
{
    (void)dp; /* the next receive overwrites the one buffer */
}

struct source datapath_listen(const struct datapath *dp)
{
    return udp_listen(&dp->udp);
}

void datapath_stats(const struct datapath *dp, struct datapath_stats *stats)
{
    *stats = dp->stats;
}

void datapath_close(struct datapath *dp)
{
    close(dp->udp.fd);
}
