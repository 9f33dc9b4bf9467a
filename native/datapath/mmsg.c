/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datapath `mmsg`: a burst per system call, by recvmmsg and sendmmsg.
 *
 * MSG_WAITFORONE waits for the first datagram and takes what else is queued. The reply is written
 * into the request's buffer and sent with the request's own name and control bytes, so nothing
 * about the peer is copied. Only the headers of used slots are set again.
 *
 * With --segment, consecutive replies to one peer cross the network stack as one message, which the
 * device (or the receiver) splits again: UDP_SEGMENT. It needs equal lengths, and pays only where a
 * peer has several requests in one burst. On a wildcard socket each reply is sent alone.
 *
 * The kernel may refuse a joined message because of its peer: no route, a route with a small MTU, a
 * device that cannot split. The replies of that message are then sent one by one, and counted in
 * nb_tx_unjoined. The next message is joined again, for the same peer too. Nothing is joined where
 * the kernel does not support UDP_SEGMENT, which is tested at the start.
 */
#include "datapath.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "socket.h"

const char datapath_name[] = "mmsg";

/* Until it is split, a joined message is one datagram, with IPv4's limit of length. */
#define JOINED_BYTES_MAX 65507u

/* The control message with the length of each segment. */
struct segment_control {
    _Alignas(struct cmsghdr) uint8_t bytes[CMSG_SPACE(sizeof(uint16_t))];
};

struct datapath {
    struct udp_socket udp;
    struct datapath_stats stats;
    bool segment;     /* join replies to one peer */
    unsigned nb_used; /* slots of the last receive: their headers must be set again */
    struct mmsghdr rx[SERVICE_BURST_MAX];
    struct mmsghdr tx[SERVICE_BURST_MAX];
    struct iovec rx_iov[SERVICE_BURST_MAX];
    struct iovec tx_iov[SERVICE_BURST_MAX];
    struct segment_control segments[SERVICE_BURST_MAX];
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
    }
    const char *error = udp_open(&dp->udp, config);
    dp->segment = config->segment && !dp->udp.wildcard && udp_can_segment(&dp->udp);
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

static bool same_peer(const struct datapath *dp, uint32_t one, uint32_t other)
{
    return memcmp(&dp->peers[one].name, &dp->peers[other].name, sizeof(dp->peers[one].name)) == 0;
}

/*
 * Return how many replies, from the first on, can be sent as one message: to one peer, of one
 * length, except that the last may be shorter (udp(7), UDP_SEGMENT). Up to SERVICE_DATAGRAM_BYTES a
 * segment fits every usual MTU; longer replies (echo) are sent alone, in IP fragments.
 */
static unsigned run_length(const struct datapath *dp, const struct reply *replies, unsigned nb)
{
    uint32_t bytes = replies[0].len;
    unsigned run = 1;

    if (!dp->segment || replies[0].len > SERVICE_DATAGRAM_BYTES)
        return 1;
    while (run < nb && replies[run].len <= replies[0].len && replies[run].len > 0 &&
           bytes + replies[run].len <= JOINED_BYTES_MAX &&
           same_peer(dp, replies[0].request, replies[run].request)) {
        bytes += replies[run].len;
        run++;
        if (replies[run - 1].len < replies[0].len)
            break;
    }
    return run;
}

static void fill_message(struct datapath *dp, unsigned message, const struct reply *first,
                         struct iovec *iov, unsigned run)
{
    struct msghdr *header = &dp->tx[message].msg_hdr;

    *header = dp->rx[first->request].msg_hdr;
    header->msg_iov = iov;
    header->msg_iovlen = run;
    if (run == 1)
        return;
    header->msg_control = dp->segments[message].bytes;
    header->msg_controllen = sizeof(dp->segments[message].bytes);
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    uint16_t segment_bytes = (uint16_t)first->len;
    *control = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(segment_bytes)),
                                .cmsg_level = SOL_UDP,
                                .cmsg_type = UDP_SEGMENT};
    memcpy(CMSG_DATA(control), &segment_bytes, sizeof(segment_bytes));
}

/* Make messages of replies, leaving the first nb_alone replies single. Returns the number of
 * messages. */
static unsigned fill_messages(struct datapath *dp, const struct reply *replies, unsigned nb,
                              unsigned nb_alone)
{
    unsigned nb_messages = 0;

    for (unsigned i = 0; i < nb; i++)
        dp->tx_iov[i] = (struct iovec){replies[i].data, replies[i].len};
    for (unsigned i = 0, run; i < nb; i += run) {
        run = i < nb_alone ? 1 : run_length(dp, &replies[i], nb - i);
        fill_message(dp, nb_messages++, &replies[i], &dp->tx_iov[i], run);
    }
    return nb_messages;
}

/* Send replies; returns how many left. sendmmsg stops at a message that fails. */
static unsigned send_replies(struct datapath *dp, const struct reply *replies, unsigned nb,
                             unsigned nb_alone)
{
    unsigned nb_messages = fill_messages(dp, replies, nb, nb_alone);
    unsigned nb_sent = 0;
    int nb_left;

    do {
        nb_left = sendmmsg(dp->udp.fd, dp->tx, nb_messages, 0);
        dp->stats.nb_syscalls++;
    } while (nb_left < 0 && errno == EINTR); /* a signal, not a refusal */
    for (int i = 0; i < nb_left; i++)
        nb_sent += (unsigned)dp->tx[i].msg_hdr.msg_iovlen;
    return nb_sent;
}

void datapath_tx_burst(struct datapath *dp, const struct reply *replies, unsigned nb, bool *sent)
{
    unsigned alone = 0; /* replies before this one are not joined */

    for (unsigned next = 0; next < nb;) {
        unsigned nb_alone = alone > next ? alone - next : 0;
        unsigned nb_sent = send_replies(dp, replies + next, nb - next, nb_alone);
        memset(sent + next, true, nb_sent);
        next += nb_sent;
        if (next == nb)
            return;
        if (nb_sent > 0)
            continue; /* errno is of a later message: repeat from the one that failed */
        if (dp->tx[0].msg_hdr.msg_iovlen > 1) {
            dp->stats.nb_tx_unjoined++;
            alone = next + (unsigned)dp->tx[0].msg_hdr.msg_iovlen;
            continue;
        }
        dp->stats.nb_tx_errors++;
        sent[next++] = false; /* drop this reply, and continue with the next */
    }
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
