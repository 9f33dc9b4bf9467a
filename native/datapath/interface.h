/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Shared by frame datapaths at an interface of the kernel: the interface, and the kernel's part of
 * the address that is served there.
 *
 * The address is one that no kernel has, or the kernel's own. In the first case the datapath
 * answers ARP, and the kernel drops what is not for it. In the second the kernel goes on answering
 * ARP and pings, and the UDP port is held by a socket whose filter drops everything: so no other
 * program gets the port, and the kernel does not answer that the port is closed. The port is given
 * back when this process ends, however it ends.
 */
#ifndef NEARMETAL_INTERFACE_H
#define NEARMETAL_INTERFACE_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "datapath.h"

struct interface {
    char name[IFNAMSIZ];
    int index;
    uint8_t mac[6];
    uint8_t address[4];
    uint16_t port;
    int held;     /* the socket that holds the port; -1: the address is not the kernel's */
    bool is_veth; /* its frames come from this machine, without complete checksums */
};

/* Look up the interface that the one argument behind `--` names, and hold the port. Returns NULL,
 * or one sentence. */
const char *interface_open(struct interface *interface, const struct datapath_config *config);

/* Return one sentence, in a buffer that the next call overwrites. */
const char *interface_said(const char *what, int error);

/* Give up every right of this process: nothing that follows the opening needs one. */
void interface_drop_rights(void);

void interface_close(struct interface *interface);

#endif
