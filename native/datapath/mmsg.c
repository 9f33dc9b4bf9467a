/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datapath `mmsg`: a burst per system call, by recvmmsg and sendmmsg.
 *
 * MSG_WAITFORONE waits for the first datagram and takes what else is queued. The reply is written
 * into the request's buffer and sent with the request's own name and control bytes, so nothing
 * about the peer is copied. Only the headers of used slots are set again.
 *
 * With --segment, consecutive replies to one peer cross the network stack as one message
 * (joining.h). On a wildcard socket each reply is sent alone.
 */
#include "datapath.h"

#include <unistd.h>

#include "joining.h"
#include "socket.h"

const char datapath_name[] = "mmsg";

struct datapath {
    struct udp_socket udp;
    struct datapath_stats stats;
    unsigned nb_used; /* slots of the last receive: their headers must be set again */
    struct mmsghdr rx[SERVICE_BURST_MAX];
    struct iovec rx_iov[SERVICE_BURST_MAX];
    struct joining tx;
    struct udp_peer peers[SERVICE_BURST_MAX];
    uint8_t spares[SERVICE_BURST_MAX][SERVICE_DATAGRAM_BYTES];
    uint8_t buffers[SERVICE_BURST_MAX][UDP_BUFFER_STRIDE_BYTES];
};

/* Offer each buffer whole again: the kernel wrote back how much of it was used. */
static void arm_slots(struct datapath *dp, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++) {
        struct msghdr *header = &dp->rx[i].msg_hdr;
        header->msg_namelen = sizeof(dp->peers[i].name);
        header->msg_controllen = dp->udp.wildcard ? sizeof(dp->peers[i].control) : 0;
    }
}

const char *datapath_open(struct datapath **datapath, const struct datapath_config *config)
{
    static struct datapath mmsg;
    struct datapath *dp = &mmsg;

    *datapath = dp;
    for (unsigned i = 0; i < SERVICE_BURST_MAX; i++) {
        struct msghdr *header = &dp->rx[i].msg_hdr;
        dp->rx_iov[i] = (struct iovec){dp->buffers[i], UDP_PAYLOAD_BYTES_MAX};
        header->msg_name = &dp->peers[i].name;
        header->msg_iov = &dp->rx_iov[i];
        header->msg_iovlen = 1;
        header->msg_control = dp->peers[i].control;
        dp->tx.to[i] = header;
    }
    const char *error = udp_open(&dp->udp, config);
    dp->tx.on = config->segment && !dp->udp.wildcard && udp_can_segment(&dp->udp);
    dp->nb_used = SERVICE_BURST_MAX;
    datapath_release(dp);
    return error;
}

unsigned datapath_rx_burst(struct datapath *dp, struct request *requests, unsigned nb)
{
    int flags = dp->udp.poll ? MSG_DONTWAIT : MSG_WAITFORONE;
    int got = recvmmsg(dp->udp.fd, dp->rx, nb, flags, NULL);

    dp->stats.nb_syscalls++;
    if (got <= 0) {
        udp_count_empty(&dp->stats);
        return 0;
    }
    dp->nb_used = (unsigned)got;
    for (unsigned i = 0; i < dp->nb_used; i++)
        requests[i] = (struct request){.data = dp->buffers[i],
                                       .len = dp->rx[i].msg_len,
                                       .source = udp_source(&dp->peers[i]),
                                       .room = dp->buffers[i],
                                       .room_bytes = UDP_PAYLOAD_BYTES_MAX};
    return dp->nb_used;
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
    joining_send(&dp->tx, dp->udp.fd, replies, nb, sent, &dp->stats);
}

void datapath_release(struct datapath *dp)
{
    arm_slots(dp, dp->nb_used);
    dp->nb_used = 0;
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
