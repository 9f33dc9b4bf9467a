/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The same frames to the datapath `lwip` and to frames/: both must find the same requests, give the
 * same answers, and drop the rest for the same reason. What may differ: a packet's identification,
 * "don't fragment", and with them the IPv4 checksum; of an echo reply the TOS, which lwIP returns
 * as it came, and which of the two zeros its checksum is: lwIP brings the request's up to date (RFC
 * 1624, 3), frames/ sums anew.
 */
#ifndef NEARMETAL_LWIP_BESIDE_NET_H
#define NEARMETAL_LWIP_BESIDE_NET_H

#include "bed.h"

/* Give a burst to both; counts the verdicts. Replies are of lengths that the frames draw. Every
 * frame that was taken must have been given back or sent. */
void beside_net(const struct bed_frame *frames, const uint32_t *vouched, unsigned nb,
                uint64_t nb_by_reason[NB_DROP_REASONS]);

#endif
