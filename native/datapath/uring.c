/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datapath `uring`: io_uring, one system call a burst.
 *
 * One multishot receive stays armed: the kernel puts each datagram into a buffer of the provided
 * ring and adds a completion, without a request of ours for each. Replies are written into the
 * requests' buffers. The call that sends a burst also runs the receive work that is due
 * (DEFER_TASKRUN), so under load the next burst is there without a call of its own.
 *
 * Consecutive replies to one peer are joined (joining.h), as those of `mmsg`. A message that left
 * has no completion (CQE_SKIP_SUCCESS); with MSG_DONTWAIT none is sent later, so after the call
 * each has either left or failed.
 */
#include "datapath.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "joining.h"
#include "socket.h"

const char datapath_name[] = "uring";

/* Buffers of the provided ring: what the kernel receives ahead of the service. */
#define BUFFERS 128u
/* Room in front of a payload: io_uring's header, the peer's name, the control bytes. */
#define HEAD_BYTES (sizeof(struct io_uring_recvmsg_out) + sizeof(struct udp_peer))
#define STRIDE_BYTES ((HEAD_BYTES + UDP_BUFFER_STRIDE_BYTES + 63) / 64 * 64)
#define GROUP 0 /* of the provided buffers */
#define FILE 0  /* index of the socket among the registered files */

/* user_data of the receive's completions; of a message's: its index. */
#define OF_RECEIVE UINT64_MAX
/* Calls for one burst: each waits for room in the socket, at most DATAPATH_WAIT_NS. */
#define SEND_TRIES 16u

_Static_assert((BUFFERS & (BUFFERS - 1)) == 0 && BUFFERS >= SERVICE_BURST_MAX, "a ring of buffers");

struct received {
    uint16_t buffer;
    uint32_t bytes; /* header, name and control included */
};

struct datapath {
    struct udp_socket udp;
    struct datapath_stats stats;
    struct io_uring ring;
    struct io_uring_buf_ring *provided;
    struct msghdr layout; /* room for names and control bytes, for the kernel and its readers */
    bool armed;           /* the receive is: it ends when no buffer is left */
    uint32_t at, end;     /* received[at..end), indices modulo BUFFERS */
    unsigned nb_used;     /* buffers of the current burst */
    uint16_t used[SERVICE_BURST_MAX];
    struct received received[BUFFERS];
    struct msghdr headers[SERVICE_BURST_MAX]; /* of the burst's requests */
    int failed[SERVICE_BURST_MAX];            /* of the messages that are sent: errno, or 0 */
    struct joining tx;
    uint8_t spares[SERVICE_BURST_MAX][SERVICE_DATAGRAM_BYTES];
    _Alignas(64) uint8_t buffers[BUFFERS][STRIDE_BYTES];
};

static const char *said(struct datapath *dp, const char *what, int error)
{
    const char *remedy = strerror(error);

    if (error == EPERM)
        remedy = "refused; as root: sysctl kernel.io_uring_disabled=0";
    else if (error == EINVAL || error == ENOSYS)
        remedy = "this kernel's is too old; Linux 6.1 or later has what is needed";
    snprintf(dp->udp.error, sizeof(dp->udp.error), "io_uring: cannot %s: %s", what, remedy);
    return dp->udp.error;
}

static void provide(struct datapath *dp, uint16_t buffer, int offset)
{
    io_uring_buf_ring_add(dp->provided, dp->buffers[buffer], STRIDE_BYTES, buffer,
                          io_uring_buf_ring_mask(BUFFERS), offset);
}

static const char *open_ring(struct datapath *dp)
{
    /* Each buffer may be completed, and each message may fail, before any completion is read. */
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER |
                                              IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE,
                                     .cq_entries = 4 * BUFFERS};
    int error = -io_uring_queue_init_params(2 * SERVICE_BURST_MAX, &dp->ring, &params);

    if (error != 0)
        return said(dp, "be set up", error);
    error = -io_uring_register_files(&dp->ring, &dp->udp.fd, 1);
    if (error != 0)
        return said(dp, "register a socket", error);
    (void)io_uring_register_ring_fd(&dp->ring); /* an improvement only */
    struct io_uring_buf_reg group = {.ring_entries = BUFFERS, .bgid = GROUP};
    static _Alignas(4096) struct io_uring_buf entries[BUFFERS];
    group.ring_addr = (uintptr_t)entries;
    error = -io_uring_register_buf_ring(&dp->ring, &group, 0);
    if (error != 0)
        return said(dp, "provide buffers", error);
    dp->provided = (struct io_uring_buf_ring *)(void *)entries;
    io_uring_buf_ring_init(dp->provided);
    for (uint16_t i = 0; i < BUFFERS; i++)
        provide(dp, i, i);
    io_uring_buf_ring_advance(dp->provided, BUFFERS);
    return NULL;
}

const char *datapath_open(struct datapath **datapath, const struct datapath_config *config)
{
    static struct datapath uring;
    struct datapath *dp = &uring;

    *datapath = dp;
    const char *error = udp_open(&dp->udp, config);
    if (error != NULL)
        return error;
    dp->tx.on = config->segment && !dp->udp.wildcard && udp_can_segment(&dp->udp);
    dp->layout.msg_namelen = sizeof(((struct udp_peer *)NULL)->name);
    dp->layout.msg_controllen = dp->udp.wildcard ? sizeof(((struct udp_peer *)NULL)->control) : 0;
    for (unsigned i = 0; i < SERVICE_BURST_MAX; i++)
        dp->tx.to[i] = &dp->headers[i];
    return open_ring(dp);
}

/* Ask for datagrams until no buffer is left. */
static void arm(struct datapath *dp)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&dp->ring); /* the ring has room for a burst more */

    io_uring_prep_recvmsg_multishot(sqe, FILE, &dp->layout, 0);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
    sqe->buf_group = GROUP;
    io_uring_sqe_set_data64(sqe, OF_RECEIVE);
    dp->armed = true;
}

static void take_received(struct datapath *dp, const struct io_uring_cqe *cqe)
{
    dp->armed = (cqe->flags & IORING_CQE_F_MORE) != 0;
    if ((cqe->flags & IORING_CQE_F_BUFFER) == 0) {
        dp->stats.nb_rx_errors += cqe->res != -ENOBUFS;
        return;
    }
    uint16_t buffer = (uint16_t)(cqe->flags >> IORING_CQE_BUFFER_SHIFT);
    dp->received[dp->end++ % BUFFERS] =
        (struct received){.buffer = buffer, .bytes = cqe->res < 0 ? 0 : (uint32_t)cqe->res};
}

/* Read every completion. */
static void take_completions(struct datapath *dp)
{
    struct io_uring_cqe *cqe;
    unsigned head, nb = 0;

    io_uring_for_each_cqe(&dp->ring, head, cqe)
    {
        if (cqe->user_data == OF_RECEIVE)
            take_received(dp, cqe);
        else if (cqe->user_data < SERVICE_BURST_MAX)
            dp->failed[cqe->user_data] = -cqe->res;
        nb++;
    }
    io_uring_cq_advance(&dp->ring, nb);
}

/* Have the kernel take what is submitted, and run what is due; wait: for a first completion. */
static void enter(struct datapath *dp, bool wait)
{
    struct __kernel_timespec time = {.tv_nsec = DATAPATH_WAIT_NS};
    struct io_uring_cqe *first;

    dp->stats.nb_syscalls++;
    if (wait)
        (void)io_uring_submit_and_wait_timeout(&dp->ring, &first, 1, &time, NULL);
    else
        (void)io_uring_submit_and_get_events(&dp->ring);
    take_completions(dp);
}

/* Make the next received buffer a request. False: the kernel's header does not fit its bytes. */
static bool take_request(struct datapath *dp, struct request *request)
{
    struct received *received = &dp->received[dp->at++ % BUFFERS];
    uint8_t *buffer = dp->buffers[received->buffer];
    struct msghdr *header = &dp->headers[dp->nb_used];

    dp->used[dp->nb_used] = received->buffer;
    struct io_uring_recvmsg_out *out =
        io_uring_recvmsg_validate(buffer, (int)received->bytes, &dp->layout);
    if (out == NULL) {
        dp->stats.nb_rx_errors++;
        provide(dp, received->buffer, 0);
        io_uring_buf_ring_advance(dp->provided, 1);
        return false;
    }
    struct udp_peer *peer = io_uring_recvmsg_name(out);
    uint8_t *control = (uint8_t *)peer + dp->layout.msg_namelen;
    uint8_t *payload = io_uring_recvmsg_payload(out, &dp->layout);
    *header = (struct msghdr){.msg_name = &peer->name,
                              .msg_namelen = out->namelen,
                              .msg_control = control,
                              .msg_controllen = out->controllen};
    *request = (struct request){
        .data = payload,
        .len = io_uring_recvmsg_payload_length(out, (int)received->bytes, &dp->layout),
        .source = udp_source(peer),
        .room = payload,
        .room_bytes = UDP_PAYLOAD_BYTES_MAX};
    dp->nb_used++;
    return true;
}

unsigned datapath_rx_burst(struct datapath *dp, struct request *requests, unsigned nb)
{
    if (dp->at == dp->end) {
        if (!dp->armed)
            arm(dp);
        enter(dp, !dp->udp.poll);
    }
    if (dp->at == dp->end) {
        dp->stats.nb_empty_rx++;
        return 0;
    }
    while (dp->nb_used < nb && dp->at != dp->end)
        (void)take_request(dp, &requests[dp->nb_used]);
    return dp->nb_used;
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

static void submit(struct datapath *dp, unsigned message)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&dp->ring);

    dp->failed[message] = 0;
    io_uring_prep_sendmsg(sqe, FILE, &dp->tx.messages[message].msg_hdr, MSG_DONTWAIT);
    sqe->flags |= IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS;
    io_uring_sqe_set_data64(sqe, message);
}

/* Wait until the socket can send, for as long as the kernel takes to send what is queued. */
static void wait_for_room(struct datapath *dp)
{
    struct pollfd room = {.fd = dp->udp.fd, .events = POLLOUT};

    dp->stats.nb_syscalls++;
    (void)poll(&room, 1, DATAPATH_WAIT_NS / 1000000);
}

/* Submit the messages that found no room in the socket again. False: there was none. */
static bool submit_again(struct datapath *dp, unsigned nb)
{
    bool again = false;

    for (unsigned i = 0; i < nb; i++) {
        if (dp->failed[i] != EAGAIN)
            continue;
        if (!again)
            wait_for_room(dp);
        again = true;
        submit(dp, i);
    }
    return again;
}

static void send_messages(struct datapath *dp, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++)
        submit(dp, i);
    if (!dp->armed)
        arm(dp);
    /* A signal may end the call before it has submitted everything. */
    for (unsigned tries = 0; tries < SEND_TRIES; tries++) {
        enter(dp, false);
        if (io_uring_sq_ready(&dp->ring) == 0 && !submit_again(dp, nb))
            return;
    }
}

void datapath_tx_burst(struct datapath *dp, const struct reply *replies, unsigned nb, bool *sent)
{
    unsigned nb_messages = joining_fill(&dp->tx, replies, nb, 0);
    unsigned runs[SERVICE_BURST_MAX];

    if (nb == 0)
        return;
    for (unsigned i = 0; i < nb_messages; i++)
        runs[i] = (unsigned)dp->tx.messages[i].msg_hdr.msg_iovlen;
    send_messages(dp, nb_messages);
    for (unsigned i = 0, next = 0; i < nb_messages; next += runs[i++]) {
        bool left = dp->failed[i] == 0;

        memset(sent + next, left, runs[i]);
        if (!left && runs[i] > 1) /* refused joined: one by one */
            joining_send(&dp->tx, dp->udp.fd, replies + next, runs[i], sent + next, &dp->stats);
        dp->stats.nb_tx_errors += !left && runs[i] == 1;
    }
}

void datapath_release(struct datapath *dp)
{
    for (unsigned i = 0; i < dp->nb_used; i++)
        provide(dp, dp->used[i], (int)i);
    io_uring_buf_ring_advance(dp->provided, (int)dp->nb_used);
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
    io_uring_queue_exit(&dp->ring);
    close(dp->udp.fd);
}
