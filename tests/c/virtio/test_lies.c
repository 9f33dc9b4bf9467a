/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device side over its socket, with front ends that lie: in their messages, in their memory, in
 * the addresses of their rings. After any lie, the device is at most down, no descriptor is left
 * open, and the next front end works.
 */
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../check.h"
#include "front_bed.h"

/* Check that the device has closed the connection. */
static void check_thrown_out(struct front_bed *bed)
{
    struct vhost_user_reader reader = {0};
    enum vhost_user_result result;

    front_bed_control(bed);
    CHECK(!vhost_up(bed->device));
    do
        result = vhost_user_receive(bed->front.socket, &reader);
    while (result == VHOST_USER_MESSAGE);
    CHECK(result == VHOST_USER_GONE);
    front_bed_shake_hands(bed);
    front_bed_check_works(bed);
}

static void test_bad_messages(struct front_bed *bed)
{
    static const struct vhost_user_message bad[] = {
        {.header = {0, VHOST_USER_VERSION, 0}},
        {.header = {200, VHOST_USER_VERSION, 0}},
        {.header = {6, VHOST_USER_VERSION, 8}},
        {.header = {VHOST_USER_GET_FEATURES, 0, 0}},
        {.header = {VHOST_USER_SET_FEATURES, VHOST_USER_VERSION, 4}},
        {.header = {VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION, 0}},
        {.header = {VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION, 40}, .payload.u64 = 1},
        {.header = {VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION, 40}, .payload.u64 = 2},
        {.header = {VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION, 264}, .payload.u64 = 9},
        {.header = {VHOST_USER_SET_VRING_NUM, VHOST_USER_VERSION, 8}, .payload.state = {2, SIZE}},
        {.header = {VHOST_USER_SET_VRING_NUM, VHOST_USER_VERSION, 8}, .payload.state = {0, 0}},
        {.header = {VHOST_USER_SET_VRING_NUM, VHOST_USER_VERSION, 8}, .payload.state = {0, 255}},
        {.header = {VHOST_USER_SET_VRING_NUM, VHOST_USER_VERSION, 8},
         .payload.state = {0, 1u << 31}},
        {.header = {VHOST_USER_SET_VRING_NUM, VHOST_USER_VERSION, 8}, .payload.state = {0, 8192}},
        {.header = {VHOST_USER_SET_VRING_BASE, VHOST_USER_VERSION, 4}},
        {.header = {VHOST_USER_SET_VRING_ADDR, VHOST_USER_VERSION, 40}, .payload.addr.ring = 77},
        {.header = {VHOST_USER_SET_VRING_ADDR, VHOST_USER_VERSION, 8}},
        {.header = {VHOST_USER_SET_VRING_KICK, VHOST_USER_VERSION, 8}, .payload.u64 = 255},
        {.header = {VHOST_USER_SET_VRING_CALL, VHOST_USER_VERSION, 8}, .payload.u64 = 2},
        {.header = {VHOST_USER_GET_VRING_BASE, VHOST_USER_VERSION, 8},
         .payload.state = {UINT32_MAX, 0}},
        {.header = {VHOST_USER_SET_VRING_ENABLE, VHOST_USER_VERSION, 8}, .payload.state = {2, 1}},
    };
    uint32_t too_long[3] = {VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION, 1000};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        front_bed_shake_hands(bed);
        front_bed_send_message(bed, &bad[i]);
        check_thrown_out(bed);
    }
    CHECK(write(bed->front.socket, too_long, sizeof(too_long)) == sizeof(too_long));
    check_thrown_out(bed);
}

/* The first half of a message and no more: the device waits without an end, and without harm. */
static void test_truncated(struct front_bed *bed)
{
    uint32_t header[3] = {VHOST_USER_SET_FEATURES, VHOST_USER_VERSION, 8};

    for (size_t nb = 1; nb <= sizeof(header); nb++) {
        front_bed_dial(bed);
        CHECK(write(bed->front.socket, header, nb) == (ssize_t)nb);
        front_bed_control(bed);
        CHECK(!vhost_up(bed->device));
    }
    front_bed_shake_hands(bed);
    front_bed_check_works(bed);
}

/* Send bytes with as many descriptors as one message may have. */
static void send_part(struct front_bed *bed, const void *bytes, size_t nb_bytes)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int) * VHOST_USER_FDS_MAX)] = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = nb_bytes};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    struct cmsghdr *fds = CMSG_FIRSTHDR(&header);

    fds->cmsg_level = SOL_SOCKET;
    fds->cmsg_type = SCM_RIGHTS;
    fds->cmsg_len = CMSG_LEN(sizeof(int) * VHOST_USER_FDS_MAX); /* all of them 0: stdin */
    CHECK(sendmsg(bed->front.socket, &header, 0) == (ssize_t)nb_bytes);
    front_bed_control(bed);
}

/* More descriptors than a message may have, because each half has some. */
static void test_descriptors_in_halves(struct front_bed *bed)
{
    const uint32_t header[3] = {VHOST_USER_SET_VRING_BASE, VHOST_USER_VERSION, 8};
    const uint32_t payload[2] = {0, 0};

    front_bed_shake_hands(bed);
    unsigned nb = front_bed_open_fds();
    send_part(bed, header, sizeof(header));
    send_part(bed, payload, sizeof(payload));
    front_bed_send_state(bed, VHOST_USER_SET_VRING_BASE, 0, 0);
    CHECK(front_bed_open_fds() == nb);
    front_bed_check_works(bed);
}

static void test_surplus_descriptors(struct front_bed *bed)
{
    struct vhost_user_message message = {.header = {VHOST_USER_SET_OWNER, VHOST_USER_VERSION, 0},
                                         .nb_fds = VHOST_USER_FDS_MAX};
    unsigned nb;

    for (unsigned i = 0; i < VHOST_USER_FDS_MAX; i++)
        message.fds[i] = 0;
    front_bed_shake_hands(bed);
    nb = front_bed_open_fds();
    for (unsigned i = 0; i < 5; i++)
        front_bed_send_message(bed, &message);
    front_bed_send_state(bed, VHOST_USER_SET_VRING_BASE, 0,
                         0); /* closes those of the previous message */
    CHECK(front_bed_open_fds() == nb);
    for (unsigned i = 0; i < 5; i++) {
        message.header.request = VHOST_USER_SET_VRING_CALL;
        message.header.bytes = 8;
        front_bed_send_message(bed, &message);
    }
    front_bed_send_state(bed, VHOST_USER_SET_VRING_BASE, 0, 0);
    CHECK(front_bed_open_fds() == nb + 1); /* the call descriptor */
    front_bed_shake_hands(bed);
    front_bed_check_works(bed);
    CHECK(front_bed_open_fds() == nb);
}

struct lie {
    unsigned nb;
    struct vhost_user_region regions[2];
};

static void test_bad_memory(struct front_bed *bed)
{
    uint64_t bytes = bed->front.memory_bytes, user = (uintptr_t)bed->front.memory;
    const struct lie lies[] = {
        {1, {{0, 0, user, 0}}},
        {1, {{0, bytes + 1, user, 0}}},
        {1, {{0, bytes, user, 1}}},
        {1, {{0, bytes, user, UINT64_MAX - 4096}}},
        {1, {{0, 1ull << 63, user, 0}}},
        {1, {{UINT64_MAX - 10, bytes, user, 0}}},
        {1, {{0, bytes, UINT64_MAX - 10, 0}}},
        {2, {{0, bytes, user, 0}, {0, bytes, user + bytes, 0}}},
        {2, {{0, bytes, user, 0}, {bytes - 1, bytes, user + bytes, 0}}},
        {2, {{0, bytes, user, 0}, {bytes, bytes, user, 0}}},
    };

    for (unsigned i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        struct vhost_user_message message = {
            .header = {VHOST_USER_SET_MEM_TABLE, VHOST_USER_VERSION,
                       (uint32_t)(8 + lies[i].nb * sizeof(struct vhost_user_region))},
            .payload.memory = {.nb_regions = lies[i].nb},
            .fds = {bed->front.memory_fd, bed->front.memory_fd},
            .nb_fds = lies[i].nb};
        unsigned nb = front_bed_open_fds();
        memcpy(message.payload.memory.regions, lies[i].regions, sizeof(lies[i].regions));
        front_bed_shake_hands(bed);
        front_bed_send_message(bed, &message);
        check_thrown_out(bed);
        CHECK(front_bed_open_fds() == nb);
    }
}

/* Rings outside the memory that was given: the device stays down and sends nothing. */
static void test_bad_places(struct front_bed *bed)
{
    const struct vring *ring = &bed->front.rings[VHOST_FRONT_TX];
    uint64_t desc = (uintptr_t)ring->desc, avail = (uintptr_t)ring->avail;
    uint64_t used = (uintptr_t)ring->used;
    uint64_t end = (uintptr_t)bed->front.memory + bed->front.memory_bytes;
    const uint64_t bad[][3] = {
        {0, avail, used},        {end, avail, used},        {end - 16, avail, used},
        {desc + 8, avail, used}, {desc, end - 2, used},     {desc, avail + 1, used},
        {desc, avail, end - 4},  {desc, avail, UINT64_MAX}, {desc, avail, used + 2},
    };

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct vhost_user_message message = {
            .header = {VHOST_USER_SET_VRING_ADDR, VHOST_USER_VERSION, 40},
            .payload.addr = {.ring = 1, .desc = bad[i][0], .avail = bad[i][1], .used = bad[i][2]}};
        front_bed_shake_hands(bed);
        front_bed_send_message(bed, &message);
        CHECK(!vhost_up(bed->device));
        front_bed_shake_hands(bed);
        front_bed_check_works(bed);
    }
    /* A ring that is enlarged beyond the memory's end while it is used. */
    front_bed_shake_hands(bed);
    front_bed_send_state(bed, VHOST_USER_SET_VRING_NUM, 1, 4096);
    CHECK(vhost_up(bed->device)); /* overlaps the buffers, but inside the memory: harmless */
    front_bed_send_state(bed, VHOST_USER_SET_VRING_NUM, 1, SIZE);
    front_bed_check_works(bed);
}

/* The index jumps: the device is down, and no frame moves until the next front end. */
static void test_jump(struct front_bed *bed)
{
    struct vhost_frame got[8];

    front_bed_shake_hands(bed);
    vring_publish(&bed->tx.ring.avail->idx, 5000);
    CHECK(vhost_receive(bed->device, got, 8) == 0);
    front_bed_control(bed);
    CHECK(!vhost_up(bed->device) && vhost_lend(bed->device, got, 8) == 0);
    front_bed_shake_hands(bed);
    front_bed_check_works(bed);
}

int main(void)
{
    static struct front_bed bed;

    front_bed_open(&bed);
    test_bad_messages(&bed);
    test_truncated(&bed);
    test_descriptors_in_halves(&bed);
    test_surplus_descriptors(&bed);
    test_bad_memory(&bed);
    test_bad_places(&bed);
    test_jump(&bed);
    front_bed_close(&bed);
    return 0;
}
