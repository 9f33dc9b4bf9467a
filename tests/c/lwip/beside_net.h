/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Pass the same frames to the datapath `lwip` and to frames/: both must find the same requests,
 * give the same answers, and drop the rest for the same reason. May differ: a packet's
 * identification, "don't fragment", and with them the IPv4 checksum; in an echo reply the TOS,
 * which lwIP returns unchanged, and which of the two zeros its checksum is: lwIP updates the
 * request's checksum (RFC 1624, 3), frames/ calculates a new one.
 */
#ifndef NEARMETAL_LWIP_BESIDE_NET_H
#define NEARMETAL_LWIP_BESIDE_NET_H

#include "bed.h"

/* Pass a burst to both and count the verdicts. The lengths of replies are drawn from the frames.
 * Every frame that was received must have been returned or sent. */
void beside_net(const struct bed_frame *frames, const uint32_t *vouched, unsigned nb,
                uint64_t nb_by_reason[NB_DROP_REASONS]);

#endif
