/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The buffers of datapath/netdev.c, for the code that provides their memory: as many as a ring has
 * entries, and some spares, one after the other.
 *
 *     0                     52        64                        1578      1600
 *     | nothing             | header  | frame, up to 1,514 bytes | nothing |
 *
 * The virtio-net header has a cache line of its own: it is never written again, so its line stays
 * in the caches of both sides, while the frame's lines are transferred. A usual request or reply
 * lies on two lines.
 */
#ifndef NEARMETAL_NETDEV_BUFFERS_H
#define NEARMETAL_NETDEV_BUFFERS_H

#include "frames.h"
#include "vring.h"

#define NETDEV_RING_MAX 1024u
#define NETDEV_SPARES 128u /* the caller holds 64 of them; 64 more may be in the tx ring */
#define NETDEV_BUFFERS_MAX (NETDEV_RING_MAX + NETDEV_SPARES)

#define NETDEV_LINE_BYTES 64u
/* Distance of buffers: an odd number of lines, because buffers whose distance is a power of two
 * would compete for the same few cache sets. */
#define NETDEV_STRIDE_BYTES 1600u
#define NETDEV_FRAME_OFFSET NETDEV_LINE_BYTES
#define NETDEV_HEADER_OFFSET (NETDEV_FRAME_OFFSET - VIRTIO_NET_HEADER_BYTES)
#define NETDEV_ROOM_BYTES (VIRTIO_NET_HEADER_BYTES + FRAME_BYTES_MAX)

_Static_assert(NETDEV_HEADER_OFFSET + NETDEV_ROOM_BYTES <= NETDEV_STRIDE_BYTES,
               "a room fits its buffer");
_Static_assert(NETDEV_STRIDE_BYTES % NETDEV_LINE_BYTES == 0 &&
                   NETDEV_STRIDE_BYTES / NETDEV_LINE_BYTES % 2 == 1,
               "an odd number of lines");

#endif
