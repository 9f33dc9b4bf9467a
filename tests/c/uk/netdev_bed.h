/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A transport (transport.h) on our heap, for datapath/netdev.c: two rings and buffers of exactly
 * their bytes, so that what lies before and behind them is AddressSanitizer's. The device is the
 * real one of the generator (vhost_ring.h), or whatever a test does to the memory.
 *
 * A process has one netdev, which is opened once, so a case that wants another gets a process of
 * its own (netdev_bed_alone). Links come and go within it.
 */
#ifndef NEARMETAL_TEST_NETDEV_BED_H
#define NEARMETAL_TEST_NETDEV_BED_H

#include "../check.h"
#include "frames.h"
#include "transport.h"
#include "vhost_ring.h"

#define BED_GUEST 0x7000000ull /* guest-physical address of the memory */
#define BED_SIZE_MAX 1024u
/* What netdev wants of its transport, as the tender knows it (uk/tender/options.c). */
#define BED_BUFFER_BYTES 1600u
#define BED_NB_SPARES 128u
#define BED_NB_BUFFERS_MAX (BED_SIZE_MAX + BED_NB_SPARES)

#define BED_IN_ORDER (1ull << VIRTIO_F_IN_ORDER)
#define BED_EVENT_IDX (1ull << VIRTIO_F_EVENT_IDX)

struct netdev_bed {
    uint8_t *bytes, *buffers;
    size_t nb_bytes;
    uint32_t size;
    struct vhost_memory memory;
    struct vring rings[TRANSPORT_RINGS];
    struct vhost_ring *device[TRANSPORT_RINGS]; /* honest; started with each link */
    _Atomic uint32_t generation;
    uint32_t seen; /* by the driver */
    uint64_t features;
    uint64_t nb_kicks[TRANSPORT_RINGS];
    uint64_t nb_waits;
    void (*during_wait)(void); /* NULL: nothing happens while the driver sleeps */
    struct frames *frames;

    /* What the caller of netdev holds. */
    unsigned nb_held;
    struct frame held[BED_NB_BUFFERS_MAX];
    uint8_t *is_held; /* by the offset of a frame in `buffers`, in lines */
};

extern struct netdev_bed bed;

/* Run a case in a process of its own; ends this one where it failed. */
void netdev_bed_alone(const char *name, void (*run)(const void *), const void *argument);

/* Memory for rings of `size`, then a link, then netdev on it. */
void netdev_bed_open(uint32_t size, uint64_t features, uint16_t start);
void netdev_bed_close(void);

/* The device goes; the driver learns of it by and by. */
void netdev_bed_down(void);
/* Another comes, once the driver has seen that the one before is gone: its rings are zero but for
 * used.idx, where counting begins. */
void netdev_bed_up(uint64_t features, uint16_t start);

/* frames.h, with a list of who has what: no frame is handed out twice, each lies within the
 * buffers, and none touches another. */
unsigned bed_rx_burst(unsigned nb);
unsigned bed_alloc(unsigned nb);
/* The first nb of those held; returns how many left. */
unsigned bed_tx_burst(unsigned nb);
void bed_free(unsigned nb);
void bed_free_all(void);

/* Is the frame that begins there the caller's? */
bool bed_is_held(const uint8_t *data);

/* Every buffer is a room in the rx ring, or can be had by alloc; the device has returned all that
 * was sent. Nothing is held before and after. */
void bed_check_none_lost(void);

#endif
