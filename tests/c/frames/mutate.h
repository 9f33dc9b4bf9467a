/* SPDX-License-Identifier: BSD-3-Clause */
/* Sound frames with random bytes changed, cut or padded; the same ones in every run. Checksums are
 * made right again half of the time, or nearly nothing would come past them. */
#ifndef NEARMETAL_NET_MUTATE_H
#define NEARMETAL_NET_MUTATE_H

#include "bed.h"

uint32_t mutate_draw(uint32_t below);

/* A request, an ARP or an echo request, spoiled in up to three places, or not. */
void mutate_make(struct bed_frame *frame);

#endif
