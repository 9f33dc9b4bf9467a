/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datapath `mmsg-gro`: as `mmsg`, and neighbouring requests cross the network stack as one message.
 *
 * With UDP_GRO (udp(7)) the kernel joins datagrams of one flow and one length that its receive
 * processing finds together, and delivers them as one message with the length of each segment.
 * recvmmsg takes several such messages. They are cut up here, and bursts are filled from them until
 * all are used up; only then the buffers are offered again.
 *
 * A segment lies in front of the next one, so its reply is written into a room apart; only the last
 * segment, or a datagram that came alone, is overwritten by its reply. Replies are joined as those
 * of `mmsg` (joining.h).
 */
#include "datapath.h"

#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "joining.h"
#include "socket.h"

const char datapath_name[] = "mmsg-gro";

/* Distance of rooms: a reply, in whole cache lines, not all in the same set. */
#define ROOM_STRIDE_BYTES ((SERVICE_DATAGRAM_BYTES + 63) / 64 * 64 + 64)

/* A message's peer and control bytes: the length of segments (an int), and on a wildcard socket the
 * local address. */
struct envelope {
    struct udp_peer peer;
    _Alignas(struct cmsghdr)
        uint8_t control[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct datapath {
    struct udp_socket udp;
    struct datapath_stats stats;
    unsigned nb_messages, message; /* received; the next one to be cut up */
    uint32_t offset;               /* in that one, of the next segment */
    uint32_t segment_bytes;        /* in that one; 0: not known */
    unsigned nb_used;              /* messages whose headers must be set again */
    struct mmsghdr rx[SERVICE_BURST_MAX];
    struct iovec rx_iov[SERVICE_BURST_MAX];
    struct envelope envelopes[SERVICE_BURST_MAX];
    struct joining tx;
    uint8_t spares[SERVICE_BURST_MAX][SERVICE_DATAGRAM_BYTES];
    uint8_t rooms[SERVICE_BURST_MAX][ROOM_STRIDE_BYTES];
    uint8_t buffers[SERVICE_BURST_MAX][UDP_BUFFER_STRIDE_BYTES];
};

const char *datapath_open(struct datapath **datapath, const struct datapath_config *config)
{
    static struct datapath gro;
    struct datapath *dp = &gro;
    int on = 1;

    *datapath = dp;
    for (unsigned i = 0; i < SERVICE_BURST_MAX; i++) {
        struct msghdr *header = &dp->rx[i].msg_hdr;
        dp->rx_iov[i] = (struct iovec){dp->buffers[i], UDP_PAYLOAD_BYTES_MAX};
        header->msg_name = &dp->envelopes[i].peer.name;
        header->msg_iov = &dp->rx_iov[i];
        header->msg_iovlen = 1;
    }
    const char *error = udp_open(&dp->udp, config);
    if (error == NULL && setsockopt(dp->udp.fd, SOL_UDP, UDP_GRO, &on, sizeof(on)) != 0)
        error = "this kernel cannot join received datagrams; Linux 5.0 or later can (UDP_GRO)";
    dp->tx.on = config->segment && !dp->udp.wildcard && udp_can_segment(&dp->udp);
    dp->nb_used = SERVICE_BURST_MAX;
    return error;
}

/* Offer each buffer whole again: the kernel wrote back how much of it was used. */
static void arm_messages(struct datapath *dp)
{
    for (unsigned i = 0; i < dp->nb_used; i++) {
        struct msghdr *header = &dp->rx[i].msg_hdr;
        header->msg_namelen = sizeof(dp->envelopes[i].peer.name);
        header->msg_control = dp->envelopes[i].control;
        header->msg_controllen = sizeof(dp->envelopes[i].control);
    }
    dp->nb_used = 0;
}

static bool receive(struct datapath *dp, unsigned nb)
{
    int flags = dp->udp.poll ? MSG_DONTWAIT : MSG_WAITFORONE;

    arm_messages(dp);
    int got = recvmmsg(dp->udp.fd, dp->rx, nb, flags, NULL);
    dp->stats.nb_syscalls++;
    if (got <= 0) {
        udp_count_empty(&dp->stats);
        return false;
    }
    dp->nb_messages = dp->nb_used = (unsigned)got;
    dp->message = 0;
    dp->offset = dp->segment_bytes = 0;
    return true;
}

/* Read a message's control bytes: returns the length of its segments, and leaves in its header what
 * is sent back with replies, the local address. */
static uint32_t read_control(struct mmsghdr *message)
{
    struct msghdr *header = &message->msg_hdr;
    uint32_t segment_bytes = message->msg_len;
    struct cmsghdr *local = NULL;
    int bytes;

    for (struct cmsghdr *each = CMSG_FIRSTHDR(header); each != NULL;
         each = CMSG_NXTHDR(header, each)) {
        if (each->cmsg_level != SOL_UDP || each->cmsg_type != UDP_GRO) {
            local = each;
            continue;
        }
        memcpy(&bytes, CMSG_DATA(each), sizeof(bytes));
        if (bytes > 0 && (uint32_t)bytes < message->msg_len)
            segment_bytes = (uint32_t)bytes;
    }
    header->msg_control = local;
    header->msg_controllen = local == NULL ? 0 : CMSG_ALIGN(local->cmsg_len);
    return segment_bytes;
}

/* Make the next segment the burst's request `index`. */
static void take_segment(struct datapath *dp, struct request *request, unsigned index)
{
    struct mmsghdr *message = &dp->rx[dp->message];
    uint8_t *data = dp->buffers[dp->message] + dp->offset;

    if (dp->offset == 0)
        dp->segment_bytes = read_control(message);
    uint32_t left = message->msg_len - dp->offset;
    bool is_last = left <= dp->segment_bytes;
    uint32_t len = is_last ? left : dp->segment_bytes;
    /* A long segment has room for any reply of several datagrams in itself. */
    bool in_place = is_last || len >= SERVICE_DATAGRAM_BYTES;
    *request = (struct request){.data = data,
                                .len = len,
                                .source = udp_source(&dp->envelopes[dp->message].peer),
                                .room = in_place ? data : dp->rooms[index],
                                .room_bytes = is_last    ? UDP_PAYLOAD_BYTES_MAX - dp->offset
                                              : in_place ? len
                                                         : SERVICE_DATAGRAM_BYTES};
    dp->tx.to[index] = &message->msg_hdr;
    dp->offset += len;
    if (is_last) {
        dp->message++;
        dp->offset = 0;
    }
}

unsigned datapath_rx_burst(struct datapath *dp, struct request *requests, unsigned nb)
{
    unsigned taken = 0;

    if (dp->message == dp->nb_messages && !receive(dp, nb))
        return 0;
    while (taken < nb && dp->message < dp->nb_messages) {
        take_segment(dp, &requests[taken], taken);
        taken++;
    }
    return taken;
}

unsigned datapath_ahead(struct datapath *dp, struct request *requests, unsigned nb)
{
    (void)dp, (void)requests, (void)nb; /* what was received is in this core's cache already */
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
    (void)dp; /* receive offers the buffers again, when all segments are used up */
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
