/* SPDX-License-Identifier: BSD-3-Clause */
/* Which frames the XDP program leads to the socket: shared by the program and its loader. */
#ifndef NEARMETAL_XSK_MATCH_H
#define NEARMETAL_XSK_MATCH_H

#include <linux/types.h>

struct xsk_match {
    __be32 address;   /* IPv4 target of UDP, and the address that ARP asks for or answers */
    __u16 port_first; /* UDP target ports, in host order */
    __u16 nb_ports;
    __u32 without_arp; /* not 0: ARP is left to the kernel */
};

#endif
