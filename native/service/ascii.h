/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memcached's ASCII protocol: a datagram's commands, carried out one after the other.
 *
 * This is the general interpreter: every command, every spelling that memcached accepts, every
 * error in memcached's words (protocol.txt; where that is silent, what 1.6.18 answers). The outputs
 * of all commands are joined in one message. The usual get and set bypass it; see fast.h.
 */
#ifndef NEARMETAL_ASCII_H
#define NEARMETAL_ASCII_H

#include "reply.h"
#include "stats.h"
#include "store.h"

struct interpreter {
    struct store *store;
    struct stats *stats;
    struct message message;
    bool is_admin; /* the source of this datagram may administer */
};

/* Carry out all commands of a datagram; data begins behind the frame. */
void ascii_run(struct interpreter *interpreter, const uint8_t *data, uint32_t nb_bytes);

#endif
