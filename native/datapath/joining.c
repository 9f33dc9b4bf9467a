/* SPDX-License-Identifier: BSD-3-Clause */
#include "joining.h"

#include <errno.h>
#include <netinet/udp.h>
#include <string.h>

/* Until it is split, a joined message is one datagram, with IPv4's limit of length. */
#define JOINED_BYTES_MAX 65507u

static bool same_peer(const struct joining *joining, uint32_t one, uint32_t other)
{
    const struct msghdr *a = joining->to[one], *b = joining->to[other];

    return a->msg_name == b->msg_name || (a->msg_namelen == b->msg_namelen &&
                                          memcmp(a->msg_name, b->msg_name, a->msg_namelen) == 0);
}

/*
 * Return how many replies, from the first on, can be sent as one message: to one peer, of one
 * length, except that the last may be shorter (udp(7), UDP_SEGMENT). Up to SERVICE_DATAGRAM_BYTES a
 * segment fits every usual MTU; longer replies (echo) are sent alone, in IP fragments.
 */
static unsigned run_length(const struct joining *joining, const struct reply *replies, unsigned nb)
{
    uint32_t bytes = replies[0].len;
    unsigned run = 1;

    if (!joining->on || replies[0].len > SERVICE_DATAGRAM_BYTES)
        return 1;
    while (run < nb && replies[run].len <= replies[0].len && replies[run].len > 0 &&
           bytes + replies[run].len <= JOINED_BYTES_MAX &&
           same_peer(joining, replies[0].request, replies[run].request)) {
        bytes += replies[run].len;
        run++;
        if (replies[run - 1].len < replies[0].len)
            break;
    }
    return run;
}

static void fill_message(struct joining *joining, unsigned message, const struct reply *first,
                         struct iovec *iov, unsigned run)
{
    struct msghdr *header = &joining->messages[message].msg_hdr;

    *header = *joining->to[first->request];
    header->msg_flags = 0;
    header->msg_iov = iov;
    header->msg_iovlen = run;
    if (run == 1)
        return;
    header->msg_control = joining->segments[message].bytes;
    header->msg_controllen = sizeof(joining->segments[message].bytes);
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    uint16_t segment_bytes = (uint16_t)first->len;
    *control = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(segment_bytes)),
                                .cmsg_level = SOL_UDP,
                                .cmsg_type = UDP_SEGMENT};
    memcpy(CMSG_DATA(control), &segment_bytes, sizeof(segment_bytes));
}

unsigned joining_fill(struct joining *joining, const struct reply *replies, unsigned nb,
                      unsigned nb_alone)
{
    unsigned nb_messages = 0;

    for (unsigned i = 0; i < nb; i++)
        joining->iov[i] = (struct iovec){replies[i].data, replies[i].len};
    for (unsigned i = 0, run; i < nb; i += run) {
        run = i < nb_alone ? 1 : run_length(joining, &replies[i], nb - i);
        fill_message(joining, nb_messages++, &replies[i], &joining->iov[i], run);
    }
    return nb_messages;
}

/* Send replies; returns how many left. sendmmsg stops at a message that fails. */
static unsigned send_messages(struct joining *joining, int fd, const struct reply *replies,
                              unsigned nb, unsigned nb_alone, struct datapath_stats *stats)
{
    unsigned nb_messages = joining_fill(joining, replies, nb, nb_alone);
    unsigned nb_sent = 0;
    int nb_left;

    do {
        nb_left = sendmmsg(fd, joining->messages, nb_messages, 0);
        stats->nb_syscalls++;
    } while (nb_left < 0 && errno == EINTR); /* a signal, not a refusal */
    for (int i = 0; i < nb_left; i++)
        nb_sent += (unsigned)joining->messages[i].msg_hdr.msg_iovlen;
    return nb_sent;
}

void joining_send(struct joining *joining, int fd, const struct reply *replies, unsigned nb,
                  bool *sent, struct datapath_stats *stats)
{
    unsigned alone = 0; /* replies before this one are not joined */

    for (unsigned next = 0; next < nb;) {
        unsigned nb_alone = alone > next ? alone - next : 0;
        unsigned nb_sent = send_messages(joining, fd, replies + next, nb - next, nb_alone, stats);
        memset(sent + next, true, nb_sent);
        next += nb_sent;
        if (next == nb)
            return;
        if (nb_sent > 0)
            continue; /* errno is of a later message: repeat from the one that failed */
        if (joining->messages[0].msg_hdr.msg_iovlen > 1) {
            stats->nb_tx_unjoined++;
            alone = next + (unsigned)joining->messages[0].msg_hdr.msg_iovlen;
            continue;
        }
        stats->nb_tx_errors++;
        sent[next++] = false; /* drop this reply, and continue with the next */
    }
}
