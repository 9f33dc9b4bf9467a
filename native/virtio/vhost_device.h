/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device side of a virtio-net, in place: a vhost-user back end whose user writes frames into
 * the driver's own buffers and reads frames out of them. No copy, no packet structure.
 *
 * Specification: vhost-user as QEMU documents it; rings as virtio 1.1, 2.6 (split virtqueues). One
 * queue pair: queue 0 takes what we send, queue 1 brings what the driver sends. Offered: VERSION_1,
 * IN_ORDER, EVENT_IDX, PROTOCOL_FEATURES; neither offloads nor mergeable buffers. A driver from
 * before virtio 1 (legacy, without VERSION_1) is served too, by way of a copy.
 *
 * Call order: open, then any number of the others, then close. Errors: open returns NULL, or one
 * sentence for the user. A front end that leaves or breaks the protocol only takes the device down
 * (vhost_up is false then); the next one may come.
 *
 * The other side is hostile: every index, length and address that it wrote is checked before use,
 * each read once. What fails a check is dropped and counted; a chain is followed at most as far as
 * the ring is long.
 *
 * Ownership: rooms and frames lie in the driver's memory. Rooms lent are ours until vhost_send,
 * frames received until vhost_return, both at most until the next vhost_control, which may take the
 * device down: what is kept longer must be copied. Whoever reads a frame must expect its bytes to
 * change meanwhile: what is checked must be what is used.
 *
 * The first two cache lines of what is received or lent are already on their way when the caller
 * gets them (vhost_receive: also those of the next 32 frames). A burst of 64 pays most.
 *
 * Blocking: only vhost_wait.
 */
#ifndef NEARMETAL_VHOST_DEVICE_H
#define NEARMETAL_VHOST_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

/* Frames received are neither shorter nor longer; others are dropped. */
#define VHOST_FRAME_BYTES_MIN 14u
#define VHOST_FRAME_BYTES_MAX 1518u

/* Every room lent takes so many bytes at least; smaller ones are dropped. */
#define VHOST_ROOM_BYTES_MIN 1514u

struct vhost_frame {
    uint8_t *data; /* behind the virtio-net header */
    uint32_t len;  /* room lent: bytes that fit; frame: bytes */
    uint32_t mark; /* the device's own */
};

struct vhost_stats {
    uint64_t nb_connections;
    uint64_t nb_tx, nb_rx;      /* frames sent to, received from the driver */
    uint64_t nb_bad_descriptor; /* dropped: address, length or chain outside what is allowed */
    uint64_t nb_bad_index;      /* an index that jumped: the ring is left alone until reset */
    uint64_t nb_calls, nb_kicks;
};

struct vhost_config {
    const char *path; /* of the AF_UNIX socket */
    bool connect;     /* false: listen there (and remove it at the end); true: connect, again and
                         again until somebody listens */
    bool sleeps;      /* kicks are wanted, because vhost_wait will be used; false: polled */
};

struct vhost_device;

const char *vhost_open(struct vhost_device **device, const struct vhost_config *config);
void vhost_close(struct vhost_device *device);

/* Take what the front end or the socket says, without waiting. To be called now and then: at least
 * every 4,096 turns, and while !vhost_up. */
void vhost_control(struct vhost_device *device);

/* Both rings are set up and enabled. */
bool vhost_up(const struct vhost_device *device);

/* Rooms in the order in which they will be sent; returns how many there are. Lending again before
 * vhost_send gives the same ones. */
unsigned vhost_lend(struct vhost_device *device, struct vhost_frame *rooms, unsigned nb);

/* The first nb rooms lent hold frames of frames[i].len bytes: give them to the driver. */
void vhost_send(struct vhost_device *device, const struct vhost_frame *frames, unsigned nb);

/* Frames from the driver, oldest first; returns how many. Those of earlier calls that were not
 * returned yet are not given again. */
unsigned vhost_receive(struct vhost_device *device, struct vhost_frame *frames, unsigned nb);

/* All frames received so far are done with: the driver may have their buffers. */
void vhost_return(struct vhost_device *device);

/* The same, but it gets them in good time: many at once under load, all when nothing comes. */
void vhost_return_later(struct vhost_device *device);

/* Sleep until there is a frame, or a room where vhost_lend last gave none, the socket has something
 * to say, or another_fd (-1: none) is readable; at most `ns`. False: the time ended it. */
bool vhost_wait(struct vhost_device *device, int another_fd, uint64_t ns);

void vhost_stats(const struct vhost_device *device, struct vhost_stats *stats);

#endif
