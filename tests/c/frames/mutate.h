/* SPDX-License-Identifier: BSD-3-Clause */
/* Valid frames with random bytes changed, cut or padded; the same ones in every run. Half of the
 * time the checksums are set again: otherwise almost no frame would pass them. */
#ifndef NEARMETAL_NET_MUTATE_H
#define NEARMETAL_NET_MUTATE_H

#include "bed.h"

uint32_t mutate_draw(uint32_t below);

/* A request, an ARP or an echo request, changed in zero to three places. */
void mutate_make(struct bed_frame *frame);

#endif
