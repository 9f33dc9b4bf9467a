/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The buffers of datapath/netdev.c, for whoever gives it their memory: as many as a ring has
 * entries, and some spares, one after the other.
 *
 *     0                     52        64                        1578      1600
 *     | nothing             | header  | frame, up to 1,514 bytes | nothing |
 *
 * The virtio-net header has a cache line of its own, because it is never written again and so stays
 * in the caches of both sides, while the frame's lines travel: a usual request or reply lies on
 * two.
 */
#ifndef NEARMETAL_NETDEV_BUFFERS_H
#define NEARMETAL_NETDEV_BUFFERS_H

#include "frames.h"
#include "vring.h"

#define NETDEV_RING_MAX 1024u
#define NETDEV_SPARES 128u /* the caller holds 64 of them, so that 64 may be on their way */
#define NETDEV_BUFFERS_MAX (NETDEV_RING_MAX + NETDEV_SPARES)

#define NETDEV_LINE_BYTES 64u
/* From one to the next: an odd number of lines, because buffers that begin a power of two apart
 * would all want the same few places of a cache. */
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
