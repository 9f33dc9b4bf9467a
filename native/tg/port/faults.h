/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Seeded faults between port_frames.c and the wire, both directions: what a bad network does.
 *
 * Every frame of a direction meets at most one fault. Which one follows from the seed and the
 * frame's number in its direction alone, never from time or from how frames were cut into bursts:
 * the same seed gives the same schedule. Only IPv4 is harmed: ARP has no checksum, so a flipped bit
 * there would poison a neighbour table for good, which no network path does.
 *
 *     loss       it is not passed on
 *     duplicate  it is passed on twice
 *     reorder    it is held until 1 to 8 later ones have passed, at most 1 ms
 *     corrupt    one bit of it, anywhere, is flipped: after checksums were made, on a copy of ours
 *     delay      it is held for a given time
 *
 * Functions are those of wire.h, with the same rules. Frames lent and received are our copies, of
 * which there is a bounded number: with too many held there is no room to lend and nothing is
 * received, so the wire's own queue fills up and nothing vanishes uncounted. Whatever is due leaves
 * with every call of faults_send or faults_receive.
 */
#ifndef NEARMETAL_TG_FAULTS_H
#define NEARMETAL_TG_FAULTS_H

#include <stdint.h>

#include "wire.h"

struct faults;

/* Of one direction. Frames are conserved: frames + duplicated - lost - held = passed. */
#define FAULT_COUNTS(X)                                                                            \
    X(frames) /* IPv4 frames that came here */                                                     \
    X(lost)                                                                                        \
    X(duplicated)                                                                                  \
    X(reordered)                                                                                   \
    X(corrupted)                                                                                   \
    X(delayed)                                                                                     \
    X(held)   /* still here: to be passed on later */                                              \
    X(passed) /* tx: to the wire; rx: to the generator */

struct fault_counts {
#define X(name) uint64_t name;
    FAULT_COUNTS(X)
#undef X
};

struct faults_stats {
    struct fault_counts tx, rx;
};

/* NULL, or what is wrong with the text: "loss=0.01,delay=0.01:1ms". */
const char *faults_check(const char *text);

const char *faults_open(struct faults **faults, const char *text, uint64_t seed, struct wire *wire);

unsigned faults_lend(struct faults *faults, struct wire_frame *rooms, unsigned nb);
void faults_send(struct faults *faults, const struct wire_frame *frames, unsigned nb);
unsigned faults_receive(struct faults *faults, struct wire_frame *frames, unsigned nb);
void faults_return(struct faults *faults);

void faults_stats(const struct faults *faults, struct faults_stats *stats);

/* The wire stays open. What is held is not passed on any more. */
void faults_close(struct faults *faults);

#endif
