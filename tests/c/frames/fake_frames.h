/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A frame datapath in memory: a test puts in the frames to receive, reads the frames that were
 * sent, and every frame is counted. Each frame is an allocation of its own that ends with its
 * buffer, so that a sanitizer sees any access behind it; a longer frame is cut.
 */
#ifndef NEARMETAL_FAKE_FRAMES_H
#define NEARMETAL_FAKE_FRAMES_H

#include "bed.h"

#define FAKE_SENT_MAX 1024u

struct fake {
    struct bed_frame rx[SERVICE_BURST_MAX]; /* frames that the next rx_burst returns */
    uint32_t vouched[SERVICE_BURST_MAX];    /* the vouched flags of each frame in rx */
    unsigned nb_rx;
    uint32_t ahead_len[SERVICE_BURST_MAX]; /* lengths of the frames that frames_ahead shows */
    unsigned nb_ahead;
    struct bed_frame sent[FAKE_SENT_MAX];
    unsigned nb_sent;
    unsigned tx_room;  /* how many more frames tx_burst accepts */
    unsigned nb_alloc; /* how many more frames alloc returns */
    unsigned nb_out;   /* frames that frames/ owns */
    unsigned nb_waits; /* calls of frames_wait */
    const char *error; /* returned by frames_open */
};

struct fake *fake(void);

#endif
