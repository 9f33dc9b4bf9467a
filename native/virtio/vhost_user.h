/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * vhost-user messages on an AF_UNIX stream, for both sides (specification: vhost-user, as QEMU
 * documents it). A message is a header of 12 bytes, a payload, and descriptors beside it.
 *
 * The reader owns the descriptors of a message: take those wanted (vhost_user_take); the rest are
 * closed by the next receive or by vhost_user_drop.
 */
#ifndef NEARMETAL_VHOST_USER_H
#define NEARMETAL_VHOST_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VHOST_USER_REGIONS_MAX 8u
#define VHOST_USER_FDS_MAX VHOST_USER_REGIONS_MAX

/* Requests, only those of our protocol features. */
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

/* KICK, CALL, ERR: the ring's index, and a bit that no descriptor comes with it. */
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
    uint64_t guest; /* guest-physical address, used in descriptors */
    uint64_t bytes;
    uint64_t user;   /* the front end's own address, used in ADDR */
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

/* A message being received. Begins as zeros. */
struct vhost_user_reader {
    struct vhost_user_message message;
    size_t nb_bytes; /* received so far, header included */
};

enum vhost_user_result {
    VHOST_USER_NOTHING, /* the message is not complete */
    VHOST_USER_MESSAGE, /* reader->message is complete */
    VHOST_USER_GONE,    /* the other side has left, or sent something else */
};

/* Read what the socket holds of one message; never waits. */
enum vhost_user_result vhost_user_receive(int socket, struct vhost_user_reader *reader);

/* Like vhost_user_receive, but wait for a whole message until this time of CLOCK_MONOTONIC. Bytes
 * that arrive one at a time do not extend the time. */
enum vhost_user_result vhost_user_wait(int socket, struct vhost_user_reader *reader,
                                       uint64_t end_ns);

uint64_t vhost_user_now_ns(void);

/* Send a message and its descriptors, which the caller still owns. Returns false if the peer is
 * gone. */
bool vhost_user_send(int socket, const struct vhost_user_message *message);

/* Return descriptor i of the message, which the caller then owns; -1: there is none. */
int vhost_user_take(struct vhost_user_message *message, unsigned i);

/* Close the descriptors that were not taken. */
void vhost_user_drop(struct vhost_user_message *message);

/* Listen at a path (replacing a socket whose process is dead), or connect to it. Returns a
 * non-blocking socket, or -1 with errno set. */
int vhost_user_listen(const char *path);
int vhost_user_connect(const char *path);

#endif
