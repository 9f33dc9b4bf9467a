/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device side of a virtio-net, in place: a vhost-user back end whose caller writes frames into
 * the driver's own buffers and reads frames out of them. No copy, no packet structure.
 *
 * Specification: vhost-user as QEMU documents it; rings as virtio 1.1, 2.6 (split virtqueues). One
 * queue pair: queue 0 carries frames from this device to the driver, queue 1 frames from the
 * driver. Offered: VERSION_1, IN_ORDER, EVENT_IDX, PROTOCOL_FEATURES; no offloads, no
 * mergeable buffers. A driver from before virtio 1 (legacy, without VERSION_1) is served too, by
 * way of a copy.
 *
 * Call order: open, then any number of the others, then close. Errors: open returns NULL, or one
 * sentence for the user. A front end that leaves or breaks the protocol only takes the device down
 * (vhost_up is then false); another front end may connect.
 *
 * The other side is untrusted: every index, length and address that it writes is checked before
 * use, and read once. A buffer that fails a check is dropped and counted; a chain is followed at
 * most as far as the ring is long.
 *
 * Ownership: rooms and frames lie in the driver's memory. The caller owns rooms lent until
 * vhost_send, and frames received until vhost_return, both at most until the next vhost_control,
 * which may take the device down: copy what is kept longer. The driver can change the bytes of a
 * frame at any time: read each once, so that the value used is the value that was checked.
 *
 * The first two cache lines of each frame or room are already being fetched when the caller gets it
 * (vhost_receive: also those of the next 32 frames). Bursts of 64 profit most.
 *
 * Blocking: only vhost_wait.
 */
#ifndef NEARMETAL_VHOST_DEVICE_H
#define NEARMETAL_VHOST_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

/* Limits of received frames; others are dropped. */
#define VHOST_FRAME_BYTES_MIN 14u
#define VHOST_FRAME_BYTES_MAX 1518u

/* Least bytes of a room lent; smaller ones are dropped. */
#define VHOST_ROOM_BYTES_MIN 1514u

struct vhost_frame {
    uint8_t *data; /* behind the virtio-net header */
    uint32_t len;  /* room lent: bytes that fit; frame: its bytes */
    uint32_t mark; /* private to the device */
};

struct vhost_stats {
    uint64_t nb_connections;
    uint64_t nb_tx, nb_rx;      /* frames sent to the driver, received from the driver */
    uint64_t nb_bad_descriptor; /* dropped: address, length or chain not allowed */
    uint64_t nb_bad_index;      /* an index that jumped: the ring is not used until reset */
    uint64_t nb_calls, nb_kicks;
};

struct vhost_config {
    const char *path; /* of the AF_UNIX socket */
    bool connect;     /* false: listen there, and remove it at the end; true: connect, with retries
                       * until a listener answers */
    bool sleeps;      /* enable kicks, for vhost_wait; false: rings are polled */
};

struct vhost_device;

const char *vhost_open(struct vhost_device **device, const struct vhost_config *config);
void vhost_close(struct vhost_device *device);

/* Handle connections and messages of the front end, without waiting. Call it at least every 4,096
 * turns, and always while !vhost_up. */
void vhost_control(struct vhost_device *device);

/* Whether both rings are set up and enabled. */
bool vhost_up(const struct vhost_device *device);

/* Lend rooms in the order in which they will be sent; returns how many there are. Lending again
 * before vhost_send returns the same rooms. */
unsigned vhost_lend(struct vhost_device *device, struct vhost_frame *rooms, unsigned nb);

/* Return the first nb lent rooms to the driver, with frames of frames[i].len bytes in them. */
void vhost_send(struct vhost_device *device, const struct vhost_frame *frames, unsigned nb);

/* Receive frames from the driver, oldest first; returns how many. A frame is given once, whether or
 * not it was returned since. */
unsigned vhost_receive(struct vhost_device *device, struct vhost_frame *frames, unsigned nb);

/* Begin to fetch up to nb more frames that arrived meanwhile, for a later vhost_receive. A few at a
 * time between other work: a core can wait for few cache lines at once, and stops when more are
 * wanted. */
void vhost_ahead(struct vhost_device *device, unsigned nb);

/* Return the buffers of all frames received so far to the driver. */
void vhost_return(struct vhost_device *device);

/* Like vhost_return, but batched: many buffers at once under load, all when none is received. */
void vhost_return_later(struct vhost_device *device);

/* Sleep until there is a frame, or a room where vhost_lend last returned none, or the socket or
 * another_fd (-1: none) is readable; at most `ns`. Returns false if the time ended it. */
bool vhost_wait(struct vhost_device *device, int another_fd, uint64_t ns);

void vhost_stats(const struct vhost_device *device, struct vhost_stats *stats);

#endif
