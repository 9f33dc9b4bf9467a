/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A frame datapath in memory: what it is to receive is put in, what was sent is looked at, and
 * every frame is accounted for. Frames end at their room's end in an allocation of their own; of
 * one that is longer, the rest is not there.
 */
#ifndef NEARMETAL_FAKE_FRAMES_H
#define NEARMETAL_FAKE_FRAMES_H

#include "bed.h"

#define FAKE_SENT_MAX 1024u

struct fake {
    struct bed_frame rx[SERVICE_BURST_MAX]; /* what the next rx_burst gives */
    uint32_t vouched[SERVICE_BURST_MAX];    /* for which of them */
    unsigned nb_rx;
    uint32_t ahead_len[SERVICE_BURST_MAX]; /* of frames beyond, which have but a length */
    unsigned nb_ahead;
    struct bed_frame sent[FAKE_SENT_MAX];
    unsigned nb_sent;
    unsigned tx_room;  /* how many more frames are taken */
    unsigned nb_alloc; /* how many more frames are to be had */
    unsigned nb_out;   /* frames that frames/ has and has not given back */
    unsigned nb_waits; /* calls of frames_wait */
    const char *error; /* of frames_open */
};

struct fake *fake(void);

#endif
