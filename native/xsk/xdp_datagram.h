/* SPDX-License-Identifier: BSD-3-Clause */
/* The headers of a UDP datagram over IPv4, as an XDP program reads them: byte for byte, because
 * struct iphdr has bit fields, on which BPF compilers disagree. Include linux/if_ether.h first. */
#ifndef NEARMETAL_XDP_DATAGRAM_H
#define NEARMETAL_XDP_DATAGRAM_H

struct xdp_datagram {
    __u8 eth_to[ETH_ALEN], eth_from[ETH_ALEN];
    __be16 eth_type;
    __u8 version_ihl, tos;
    __be16 total_len, id, fragment;
    __u8 ttl, protocol;
    __u16 ip_check;
    __be32 ip_from, ip_to;
    __be16 udp_from, udp_to, udp_len;
    __u16 udp_check;
} __attribute__((packed, aligned(2)));

_Static_assert(sizeof(struct xdp_datagram) == 14 + 20 + 8, "Ethernet, IPv4 and UDP headers");

#endif
