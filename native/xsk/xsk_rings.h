/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The user's half of an AF_XDP socket (Linux Documentation/networking/af_xdp.rst): four rings and
 * the UMEM, the memory of all frames, both shared with the kernel. No system call is made here, so
 * that tests can play the kernel.
 *
 *     ring        producer  entries                     here
 *     fill        we        addresses of empty frames   xsk_rings_return
 *     receive     kernel    descriptors of frames       xsk_rings_receive
 *     transmit    we        descriptors of frames       xsk_rings_send
 *     completion  kernel    addresses of sent frames    xsk_rings_lend
 *
 * A frame lies in the UMEM and is written and read there. Each frame has one owner at a time, which
 * `owners` records:
 *
 *     receiving   kernel (fill ring) -> port (received) -> kernel
 *     sending     ours (free) -> port (lent) -> kernel (transmit ring) -> ours
 *     forwarding  kernel (fill ring) -> port (taken) -> sending (transmit ring) -> kernel
 *
 * A generator receives and sends, a server forwards: one socket does one of the two.
 *
 * Reordering: the producer's index is published with a release store and read with an acquire load,
 * so no entry is read before it is written; the consumer's index likewise, so no entry is written
 * before it is read.
 *
 * What the kernel writes is checked before use, each value read once: an index that is impossible
 * stops the socket; an address outside the UMEM, or of a frame that the kernel does not own, is
 * counted and ignored; a frame of an impossible length is counted and goes back to the fill ring.
 * Each ring that we fill has an entry for every frame that may be in it, so it is never full; a
 * kernel that claims otherwise gets wrong entries, inside the ring.
 */
#ifndef NEARMETAL_XSK_RINGS_H
#define NEARMETAL_XSK_RINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/if_xdp.h>

#define XSK_FRAME_BYTES 2048u /* the smallest size that the kernel accepts on every machine */
#define XSK_BURST_MAX 128u    /* most frames lent, or received and not yet returned */
#define XSK_RX_FRAMES 2048u
#define XSK_TX_FRAMES 512u
#define XSK_FRAMES (XSK_RX_FRAMES + XSK_TX_FRAMES)
#define XSK_UMEM_BYTES ((size_t)XSK_FRAMES * XSK_FRAME_BYTES)

_Static_assert(sizeof(struct xdp_desc) == 16 && offsetof(struct xdp_desc, addr) == 0 &&
                   offsetof(struct xdp_desc, len) == 8 && offsetof(struct xdp_desc, options) == 12,
               "linux/if_xdp.h: an entry of the receive and transmit rings");
_Static_assert(sizeof(_Atomic uint32_t) == sizeof(uint32_t), "indices and flags are shared");

/* One ring as the kernel lays it out. Indices run through all 32 bits. */
struct xsk_ring {
    _Atomic uint32_t *producer, *consumer, *flags; /* flags: NULL for rings that have none */
    void *entries; /* struct xdp_desc, or uint64_t in the fill and completion rings */
    uint32_t size; /* entries, a power of two */
};

/* Memory shared with the kernel. fill and rx have at least XSK_RX_FRAMES entries, tx and completion
 * at least XSK_TX_FRAMES. */
struct xsk_memory {
    struct xsk_ring fill, rx, tx, completion;
    uint8_t *umem; /* XSK_UMEM_BYTES */
};

/* May alias, so that a caller's frames of the same layout need not be copied. */
struct __attribute__((may_alias)) xsk_frame {
    uint8_t *data;
    uint32_t len; /* room lent: bytes that fit; frame: bytes */
};

struct xsk_stats {
    uint64_t nb_tx, nb_rx;
    uint64_t nb_bad;      /* entries of the kernel that failed a check */
    uint64_t nb_syscalls; /* xsk.c sets it */
};

enum xsk_owner { XSK_FREE, XSK_PORT, XSK_KERNEL, XSK_SENDING };

struct xsk_rings {
    struct xsk_memory memory;
    uint32_t fill_at, rx_at, tx_at, completion_at; /* our own indices, never read back */
    uint32_t tx_done;                              /* the kernel's index when last read */
    bool broken;                                   /* an index was impossible */
    uint32_t nb_free, nb_lent, nb_received;
    uint32_t nb_sending; /* forwarded frames that the kernel has not completed */
    struct xsk_stats stats;
    uint32_t free[XSK_TX_FRAMES];         /* frames for sending */
    uint32_t lent[XSK_BURST_MAX];         /* in the order of sending */
    uint32_t received[2 * XSK_BURST_MAX]; /* also frames that are returned in the next burst */
    uint8_t owners[XSK_FRAMES];           /* enum xsk_owner */
};

/* Set up, and give all frames for receiving to the kernel. */
void xsk_rings_init(struct xsk_rings *rings, const struct xsk_memory *memory);

/* Lend rooms in the order of sending; returns how many. Lending again before xsk_rings_send returns
 * the same rooms. */
unsigned xsk_rings_lend(struct xsk_rings *rings, struct xsk_frame *rooms, unsigned nb);

/* Publish the first nb lent rooms, with frames[i].len bytes each, for the kernel to send. */
void xsk_rings_send(struct xsk_rings *rings, const struct xsk_frame *frames, unsigned nb);

/* Frames in the transmit ring that the kernel has not taken. */
unsigned xsk_rings_unsent(struct xsk_rings *rings);

/* Receive; the frames are the caller's until xsk_rings_return. */
unsigned xsk_rings_receive(struct xsk_rings *rings, struct xsk_frame *frames, unsigned nb);

/* Return all received frames. They reach the fill ring in bursts. */
void xsk_rings_return(struct xsk_rings *rings);

/* Receive; each frame is the caller's until xsk_rings_forward takes it or xsk_rings_free. */
unsigned xsk_rings_take(struct xsk_rings *rings, struct xsk_frame *frames, unsigned nb);

/* Get empty frames, as if they were taken; returns how many. */
unsigned xsk_rings_alloc(struct xsk_rings *rings, struct xsk_frame *frames, unsigned nb);

/* Publish frames for the kernel to send from where they lie; it gets those it had sent for
 * receiving again. Returns how many, from the first on, were taken. */
unsigned xsk_rings_forward(struct xsk_rings *rings, const struct xsk_frame *frames, unsigned nb);

void xsk_rings_free(struct xsk_rings *rings, const struct xsk_frame *frames, unsigned nb);

/* Whether the kernel wants a system call before it goes on (XDP_USE_NEED_WAKEUP). */
static inline bool xsk_ring_wants_call(const struct xsk_ring *ring)
{
    return (atomic_load_explicit(ring->flags, memory_order_relaxed) & XDP_RING_NEED_WAKEUP) != 0;
}

#endif
