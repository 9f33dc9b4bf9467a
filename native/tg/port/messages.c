/* SPDX-License-Identifier: BSD-3-Clause */
#include "messages.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#define SEND_TRIES_MAX 8u
#define SEGMENTS_MAX 64u /* UDP_MAX_SEGMENTS of every kernel; newer ones take 128 */
/* Until it is cut, a joined message is one datagram, with IPv4's limit of length. */
#define JOINED_BYTES_MAX 65507u

bool messages_can_join(int fd)
{
    int bytes;
    socklen_t room = sizeof(bytes);

    return getsockopt(fd, SOL_UDP, UDP_SEGMENT, &bytes, &room) == 0;
}

static void take(struct iovec *to, const struct datagram *request)
{
    *to = (struct iovec){.iov_base = request->data, .iov_len = request->len};
}

/* Order requests by length, shortest first, those of one length as they are. A pass for each
 * length: there are few. */
static void order(struct iovec *to, const struct datagram *requests, unsigned nb)
{
    uint32_t len = requests[0].len, longer;
    unsigned done = 0;

    for (unsigned i = 1; i < nb; i++)
        len = requests[i].len < len ? requests[i].len : len;
    for (; done < nb; len = longer) {
        longer = UINT32_MAX;
        for (unsigned i = 0; i < nb; i++)
            if (requests[i].len == len)
                take(&to[done++], &requests[i]);
            else if (requests[i].len > len && requests[i].len < longer)
                longer = requests[i].len;
    }
}

/* Return how many requests, from the first on, can be one message. */
static unsigned run_length(const struct iovec *requests, unsigned nb)
{
    size_t len = requests[0].iov_len, fit = len > 0 ? JOINED_BYTES_MAX / len : 1;
    unsigned run = 1;

    nb = nb < SEGMENTS_MAX ? nb : SEGMENTS_MAX;
    while (run < nb && run < fit && requests[run].iov_len == len)
        run++;
    return run;
}

static void header_fill(struct msghdr *header, struct iovec *requests, unsigned run,
                        struct segment_control *room)
{
    uint16_t len = (uint16_t)requests->iov_len;
    struct cmsghdr *control;

    *header = (struct msghdr){.msg_iov = requests, .msg_iovlen = run};
    if (run == 1)
        return;
    header->msg_control = room->bytes;
    header->msg_controllen = sizeof(room->bytes);
    control = CMSG_FIRSTHDR(header);
    *control = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(len)), .cmsg_level = SOL_UDP, .cmsg_type = UDP_SEGMENT};
    memcpy(CMSG_DATA(control), &len, sizeof(len));
}

/* Make messages of requests [begin, end); those before `alone` are not joined. Returns how many. */
static unsigned headers_fill(struct messages *messages, unsigned begin, unsigned end,
                             unsigned alone)
{
    unsigned nb = 0;

    for (unsigned run; begin < end; begin += run) {
        struct iovec *first = &messages->requests[begin];

        run = messages->joins && begin >= alone ? run_length(first, end - begin) : 1;
        header_fill(&messages->headers[nb].msg_hdr, first, run, &messages->controls[nb]);
        nb++;
    }
    return nb;
}

/* Whether the last error is of a joined message itself: longer than the MTU allows, or without
 * checksums by the device. Other errors are the target's, or pass. */
static bool refused(void)
{
    return errno == EMSGSIZE || errno == EIO || errno == EINVAL || errno == EOPNOTSUPP;
}

/* A failed call sends nothing: try again, at most SEND_TRIES_MAX times. */
void messages_send(struct messages *messages, int fd, const struct datagram *requests, unsigned nb)
{
    unsigned alone = 0, tries = 0, next = 0;

    if (messages->joins)
        order(messages->requests, requests, nb);
    else
        for (unsigned i = 0; i < nb; i++)
            take(&messages->requests[i], &requests[i]);
    while (next < nb && tries < SEND_TRIES_MAX) {
        unsigned nb_messages = headers_fill(messages, next, nb, alone);
        int sent = sendmmsg(fd, messages->headers, nb_messages, 0);
        size_t first = messages->headers[0].msg_hdr.msg_iovlen;

        for (int i = 0; i < sent; i++) {
            unsigned run = (unsigned)messages->headers[i].msg_hdr.msg_iovlen;

            next += run;
            messages->nb_joined += run > 1;
        }
        if (sent > 0)
            continue;
        if (first > 1 && refused()) {
            messages->nb_refused++;
            alone = next + (unsigned)first;
        } else {
            tries++;
        }
    }
}
