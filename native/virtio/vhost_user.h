/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost-user messages on an AF_UNIX stream, for both sides (specification: vhost-user, as QEMU
 * documents it). A message is a header of 12 bytes, a payload, and descriptors beside it.
 *
 * Descriptors that came with a message are the reader's: take those wanted (vhost_user_take), the
 * rest is closed with the next receive or with vhost_user_drop.
 */
#ifndef NEARMETAL_VHOST_USER_H
#define NEARMETAL_VHOST_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VHOST_USER_REGIONS_MAX 8u
#define VHOST_USER_FDS_MAX VHOST_USER_REGIONS_MAX

/* Requests; those of our protocol features only. */
enum vhost_user_request {
    VHOST_USER_GET_FEATURES = 1,
    VHOST_USER_SET_FEATURES = 2,
    VHOST_USER_SET_OWNER = 3,
    VHOST_USER_RESET_OWNER = 4,
    VHOST_USER_SET_MEM_TABLE = 5,
    VHOST_USER_SET_VRING_NUM = 8,
    VHOST_USER_SET_VRING_ADDR = 9,
    VHOST_USER_SET_VRING_BASE = 10,
    VHOST_USER_GET_VRING_BASE = 11,
    VHOST_USER_SET_VRING_KICK = 12,
    VHOST_USER_SET_VRING_CALL = 13,
    VHOST_USER_SET_VRING_ERR = 14,
    VHOST_USER_GET_PROTOCOL_FEATURES = 15,
    VHOST_USER_SET_PROTOCOL_FEATURES = 16,
    VHOST_USER_SET_VRING_ENABLE = 18,
};

#define VHOST_USER_VERSION 1u
#define VHOST_USER_VERSION_MASK 3u
#define VHOST_USER_REPLY 4u
#define VHOST_USER_NEED_REPLY 8u

#define VHOST_USER_PROTOCOL_F_REPLY_ACK 3u

/* KICK, CALL, ERR: the ring's index, and whether no descriptor comes with it. */
#define VHOST_USER_RING_MASK 0xffu
#define VHOST_USER_RING_NO_FD 0x100u

struct vhost_user_state {
    uint32_t ring, value;
};

struct vhost_user_addr {
    uint32_t ring, flags;
    uint64_t desc, used, avail, log; /* addresses in the front end's own space */
};

struct vhost_user_region {
    uint64_t guest; /* guest-physical address: what descriptors speak of */
    uint64_t bytes;
    uint64_t user;   /* the front end's own address: what ADDR speaks of */
    uint64_t offset; /* in the descriptor's file */
};

struct vhost_user_memory {
    uint32_t nb_regions, padding;
    struct vhost_user_region regions[VHOST_USER_REGIONS_MAX];
};

_Static_assert(sizeof(struct vhost_user_addr) == 40, "as on the wire");
_Static_assert(sizeof(struct vhost_user_region) == 32, "as on the wire");
_Static_assert(offsetof(struct vhost_user_memory, regions) == 8, "as on the wire");

struct vhost_user_header {
    uint32_t request, flags, bytes; /* bytes: of the payload */
};

#define VHOST_USER_HEADER_BYTES 12u
_Static_assert(sizeof(struct vhost_user_header) == VHOST_USER_HEADER_BYTES, "as on the wire");

union vhost_user_payload {
    uint64_t u64;
    struct vhost_user_state state;
    struct vhost_user_addr addr;
    struct vhost_user_memory memory;
};

struct vhost_user_message {
    struct vhost_user_header header;
    union vhost_user_payload payload;
    int fds[VHOST_USER_FDS_MAX];
    unsigned nb_fds;
};

/* A message on its way in. All zero to begin with. */
struct vhost_user_reader {
    struct vhost_user_message message;
    size_t nb_bytes; /* that came so far, header included */
};

enum vhost_user_result {
    VHOST_USER_NOTHING, /* not all of a message yet */
    VHOST_USER_MESSAGE, /* reader->message is whole */
    VHOST_USER_GONE,    /* the other side has left, or sent what is no message */
};

/* Takes what the socket has of one message; never waits. */
enum vhost_user_result vhost_user_receive(int socket, struct vhost_user_reader *reader);

/* As vhost_user_receive, but waits for the rest until this time of CLOCK_MONOTONIC, however it
 * comes: a peer that sends a byte at a time gets no more time. */
enum vhost_user_result vhost_user_wait(int socket, struct vhost_user_reader *reader,
                                       uint64_t end_ns);

uint64_t vhost_user_now_ns(void);

/* Send a message with its descriptors, which remain the caller's. False: the other side is gone. */
bool vhost_user_send(int socket, const struct vhost_user_message *message);

/* Descriptor i of the message, now the caller's; -1 where there is none. */
int vhost_user_take(struct vhost_user_message *message, unsigned i);

/* Close what nobody took. */
void vhost_user_drop(struct vhost_user_message *message);

/* A socket that listens at the path (replacing a dead one of the same name), or is connected to it;
 * otherwise -1 with errno. Nothing of it blocks afterwards. */
int vhost_user_listen(const char *path);
int vhost_user_connect(const char *path);

#endif
