/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A transport (transport.h) in heap memory, for datapath/netdev.c: two rings and buffers of exactly
 * their size, so that AddressSanitizer guards the bytes around them. The device is the real one of
 * the generator (vhost_ring.h), or a test writes to the memory itself.
 *
 * A process has one netdev, which is opened once, so a case that needs another runs in a process of
 * its own (netdev_bed_alone). Within a process, links can go down and up.
 */
#ifndef NEARMETAL_TEST_NETDEV_BED_H
#define NEARMETAL_TEST_NETDEV_BED_H

#include "../check.h"
#include "frames.h"
#include "transport.h"
#include "vhost_ring.h"

#define BED_GUEST 0x7000000ull /* guest-physical address of the memory */
#define BED_SIZE_MAX 1024u
/* The requirements that netdev passes to its transport, as in the tender (uk/tender/options.c). */
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
    struct vhost_ring *device[TRANSPORT_RINGS]; /* a correct device, started with each link */
    _Atomic uint32_t generation;
    uint32_t seen; /* the generation that the driver has seen */
    uint64_t features;
    uint64_t nb_kicks[TRANSPORT_RINGS];
    uint64_t nb_waits;
    void (*during_wait)(void); /* NULL: nothing happens while the driver sleeps */
    struct frames *frames;

    /* Frames that the caller of netdev holds. */
    unsigned nb_held;
    struct frame held[BED_NB_BUFFERS_MAX];
    uint8_t *is_held; /* indexed by the frame's offset in `buffers`, in lines */
};

extern struct netdev_bed bed;

/* Run a case in a process of its own; end this process if the case fails. */
void netdev_bed_alone(const char *name, void (*run)(const void *), const void *argument);

/* Allocate memory for rings of `size`, connect a link, and open netdev on it. */
void netdev_bed_open(uint32_t size, uint64_t features, uint16_t start);
void netdev_bed_close(void);

/* Disconnect the device; the driver detects it later. */
void netdev_bed_down(void);
/* Connect another device, once the driver has seen that the previous one is gone: the rings are
 * zero except used.idx, where counting begins. */
void netdev_bed_up(uint64_t features, uint16_t start);

/* frames.h, with a list of the frames held: no frame is handed out twice, each lies within the
 * buffers, and no two overlap. */
unsigned bed_rx_burst(unsigned nb);
unsigned bed_alloc(unsigned nb);
/* Send the first nb frames held; returns how many were sent. */
unsigned bed_tx_burst(unsigned nb);
void bed_free(unsigned nb);
void bed_free_all(void);

/* Whether the caller holds the frame that begins there. */
bool bed_is_held(const uint8_t *data);

/* Check that every buffer is a room in the rx ring or can be allocated, and that the device has
 * returned all frames sent. No frame is held before and after. */
void bed_check_none_lost(void);

#endif
