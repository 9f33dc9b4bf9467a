/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seeded faults between port_frames.c and the wire, in both directions: imitates a bad network.
 *
 * Every frame of a direction meets at most one fault. The fault depends only on the seed and the
 * frame's number in its direction, not on time or burst sizes: the same seed gives the same
 * schedule. Only IPv4 frames are affected. ARP has no checksum, so a flipped bit would put a wrong
 * address into a neighbour table for a long time, which no network path does.
 *
 *     loss       the frame is not passed on
 *     duplicate  it is passed on twice
 *     reorder    it is held until 1 to 8 later ones have passed, at most 1 ms
 *     corrupt    one random bit is flipped, after checksums were made, in a copy
 *     delay      it is held for a given time
 *
 * The functions correspond to those of wire.h, with the same rules. Frames lent and received are
 * copies, in a limited number of buffers. If too many frames are held, no room is lent and nothing
 * is received: the wire's own queue fills up, and no frame disappears uncounted. Every call of
 * faults_send or faults_receive passes on the frames that are due.
 */
#ifndef NEARMETAL_TG_FAULTS_H
#define NEARMETAL_TG_FAULTS_H

#include <stdint.h>

#include "wire.h"

struct faults;

/* Counters of one direction. Frames are conserved: frames + duplicated - lost - held = passed. */
#define FAULT_COUNTS(X)                                                                            \
    X(frames) /* IPv4 frames taken */                                                              \
    X(lost)                                                                                        \
    X(duplicated)                                                                                  \
    X(reordered)                                                                                   \
    X(corrupted)                                                                                   \
    X(delayed)                                                                                     \
    X(held)   /* to be passed on later */                                                          \
    X(passed) /* tx: to the wire; rx: to the generator */

struct fault_counts {
#define X(name) uint64_t name;
    FAULT_COUNTS(X)
#undef X
};

struct faults_stats {
    struct fault_counts tx, rx;
};

/* Check the text of --faults, such as "loss=0.01,delay=0.01:1ms". NULL, or one sentence. */
const char *faults_check(const char *text);

const char *faults_open(struct faults **faults, const char *text, uint64_t seed, struct wire *wire);

unsigned faults_lend(struct faults *faults, struct wire_frame *rooms, unsigned nb);
void faults_send(struct faults *faults, const struct wire_frame *frames, unsigned nb);
unsigned faults_receive(struct faults *faults, struct wire_frame *frames, unsigned nb);
void faults_return(struct faults *faults);

void faults_stats(const struct faults *faults, struct faults_stats *stats);

/* Close without closing the wire. Frames still held are dropped. */
void faults_close(struct faults *faults);

#endif
