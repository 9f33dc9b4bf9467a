/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests of a flow as messages, before a kernel that is part of this test: its sendmmsg. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>

#include "../check.h"
#include "messages.h"

#define CALLS_MAX 1024u

/* Datagrams in the order in which the kernel took them, and how many each message had. */
static const uint8_t *taken[PORT_BURST_MAX];
static uint32_t lens[PORT_BURST_MAX];
static unsigned parts[PORT_BURST_MAX];
static unsigned nb_taken, nb_parts, nb_calls;

/* How it behaves: an error for joined messages, for single ones, how often, and the most messages
 * of one call. */
static int error_joined, error_single;
static unsigned nb_errors, most;

static struct messages messages;
static uint8_t room[PORT_BURST_MAX][2048];
static struct datagram requests[PORT_BURST_MAX];

static void message_take(const struct msghdr *header)
{
    struct cmsghdr *control = CMSG_FIRSTHDR(header);
    uint16_t segment = 0;
    size_t bytes = 0;

    CHECK((control != NULL) == (header->msg_iovlen > 1));
    if (control != NULL) {
        CHECK(control->cmsg_level == SOL_UDP && control->cmsg_type == UDP_SEGMENT);
        CHECK(control->cmsg_len == CMSG_LEN(sizeof(segment)));
        memcpy(&segment, CMSG_DATA(control), sizeof(segment));
        CHECK(header->msg_iovlen <= 64);
    }
    for (size_t i = 0; i < header->msg_iovlen; i++) {
        const struct iovec *one = &header->msg_iov[i];

        CHECK(control == NULL || one->iov_len == segment);
        bytes += one->iov_len;
        taken[nb_taken] = one->iov_base;
        lens[nb_taken++] = (uint32_t)one->iov_len;
    }
    CHECK(bytes <= 65507);
    parts[nb_parts++] = (unsigned)header->msg_iovlen;
}

int sendmmsg(int fd, struct mmsghdr *headers, unsigned nb, int flags)
{
    unsigned sent = 0;

    CHECK(fd == 7 && flags == 0 && nb > 0 && ++nb_calls < CALLS_MAX);
    for (; sent < nb && sent < most; sent++) {
        int error = headers[sent].msg_hdr.msg_iovlen > 1 ? error_joined : error_single;

        if (error != 0 && nb_errors > 0) {
            nb_errors -= sent == 0; /* the kernel reports the error of a first message only */
            errno = error;
            return sent > 0 ? (int)sent : -1;
        }
        message_take(&headers[sent].msg_hdr);
    }
    return (int)sent;
}

static void begin(bool joins)
{
    memset(&messages, 0, sizeof(messages));
    messages.joins = joins;
    nb_taken = nb_parts = nb_calls = nb_errors = 0;
    error_joined = error_single = 0;
    most = PORT_BURST_MAX;
}

/* Send requests of these lengths. */
static void send_all(const uint32_t *wanted, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++)
        requests[i] = (struct datagram){.data = room[i], .len = wanted[i], .flow = 3};
    messages_send(&messages, 7, requests, nb);
}

static void send_equal(uint32_t len, unsigned nb)
{
    uint32_t wanted[PORT_BURST_MAX];

    for (unsigned i = 0; i < nb; i++)
        wanted[i] = len;
    send_all(wanted, nb);
}

/* Each request was taken once. */
static void check_all(unsigned nb)
{
    bool seen[PORT_BURST_MAX] = {false};

    CHECK(nb_taken == nb);
    for (unsigned i = 0; i < nb; i++) {
        size_t which = (size_t)(taken[i] - room[0]) / sizeof(room[0]);

        CHECK(which < nb && !seen[which] && lens[i] == requests[which].len);
        seen[which] = true;
    }
}

static void test_alone(void)
{
    begin(false);
    send_all((uint32_t[]){30, 30, 72, 30}, 4);
    CHECK(nb_calls == 1 && nb_parts == 4 && messages.nb_joined == 0);
    for (unsigned i = 0; i < 4; i++)
        CHECK(taken[i] == room[i] && parts[i] == 1);
}

static void test_joined_by_length(void)
{
    const unsigned order[] = {1, 3, 4, 6, 0, 5, 2};

    begin(true);
    send_all((uint32_t[]){72, 30, 99, 30, 30, 72, 30}, 7);
    check_all(7);
    for (unsigned i = 0; i < 7; i++)
        CHECK(taken[i] == room[order[i]]);
    CHECK(nb_calls == 1 && nb_parts == 3);
    CHECK(parts[0] == 4 && parts[1] == 2 && parts[2] == 1);
    CHECK(messages.nb_joined == 2 && messages.nb_refused == 0);
}

static void test_limits(void)
{
    begin(true);
    send_equal(30, PORT_BURST_MAX); /* no more than 64 segments */
    check_all(PORT_BURST_MAX);
    CHECK(nb_parts == 2 && parts[0] == 64 && parts[1] == 64);
    begin(true);
    send_equal(1400, PORT_BURST_MAX); /* 46 x 1,400 = 64,400 bytes; 47 would be too many */
    check_all(PORT_BURST_MAX);
    CHECK(nb_parts == 3 && parts[0] == 46 && parts[1] == 46 && parts[2] == 36);
    begin(true);
    send_equal(30, 1);
    check_all(1);
    CHECK(parts[0] == 1 && messages.nb_joined == 0);
}

static void test_refused(void)
{
    const int errors[] = {EMSGSIZE, EIO, EINVAL};

    for (unsigned i = 0; i < 3; i++) {
        begin(true);
        error_joined = errors[i];
        nb_errors = UINT32_MAX;
        send_all((uint32_t[]){30, 72, 30, 72, 72}, 5);
        check_all(5);
        CHECK(nb_parts == 5 && messages.nb_joined == 0 && messages.nb_refused == 2);
        nb_errors = nb_taken = nb_parts = 0; /* the next messages are joined again */
        send_equal(30, 4);
        CHECK(nb_parts == 1 && messages.nb_joined == 1 && messages.nb_refused == 2);
    }
}

/* Only the second message is refused: the first has left, and is not sent again. */
static void test_refused_later(void)
{
    begin(true);
    error_joined = EMSGSIZE;
    nb_errors = 1;
    send_all((uint32_t[]){72, 30, 72, 99, 99}, 5);
    check_all(5);
    CHECK(parts[0] == 1 && parts[1] == 1 && parts[2] == 1 && parts[3] == 2 && nb_parts == 4);
    CHECK(messages.nb_joined == 1 && messages.nb_refused == 1);
}

static void test_errors_that_pass(void)
{
    begin(true);
    error_joined = error_single = ECONNREFUSED; /* of an earlier datagram */
    nb_errors = 3;
    send_equal(30, 8);
    check_all(8);
    CHECK(nb_calls == 4 && nb_parts == 1 && messages.nb_refused == 0);
    begin(true);
    error_joined = error_single = ENOBUFS; /* for ever: it gives up */
    nb_errors = UINT32_MAX;
    send_equal(30, 8);
    CHECK(nb_taken == 0 && nb_calls == 8 && messages.nb_refused == 0);
    begin(true);
    error_joined = error_single = EINVAL;
    nb_errors = UINT32_MAX;
    send_equal(30, 8);
    CHECK(nb_taken == 0 && nb_calls == 9 && messages.nb_refused == 1);
}

static void test_few_at_a_time(void)
{
    for (unsigned joins = 0; joins < 2; joins++) {
        begin(joins);
        most = 1;
        send_all((uint32_t[]){30, 72, 30, 72, 99, 30}, 6);
        check_all(6);
        CHECK(messages.nb_joined == (joins ? 2 : 0));
    }
}

int main(void)
{
    test_alone();
    test_joined_by_length();
    test_limits();
    test_refused();
    test_refused_later();
    test_errors_that_pass();
    test_few_at_a_time();
    return 0;
}
