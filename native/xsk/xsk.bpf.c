/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Leads frames for an AF_XDP socket to it: UDP datagrams to our address and ports, and ARP packets
 * for our address. Everything else is passed to the kernel: other addresses, ports and protocols,
 * VLAN tags, IPv4 options, fragments, and frames of queues without a socket.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "xdp_datagram.h"
#include "xsk_match.h"

#define IPV4_NO_OPTIONS 0x45 /* version 4, IHL 5 (RFC 791, 3.1) */
#define IPV4_FRAGMENT 0x3fff /* more fragments, or an offset (RFC 791, 3.1) */

/* Set by the loader before the program is loaded. Not zero, so that every compiler places it in
 * .data, where it is alone. */
volatile struct xsk_match match = {.nb_ports = 1};

struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, 1); /* queue 0 */
    __type(key, __u32);
    __type(value, __u32);
} sockets SEC(".maps");

struct arp { /* RFC 826 */
    __u8 eth_to[ETH_ALEN], eth_from[ETH_ALEN];
    __be16 eth_type, hardware, protocol;
    __u8 hardware_len, protocol_len;
    __be16 operation;
    __u8 sender_mac[ETH_ALEN];
    __be32 sender;
    __u8 target_mac[ETH_ALEN];
    __be32 target;
} __attribute__((packed, aligned(2)));

_Static_assert(sizeof(struct arp) == 14 + 28, "Ethernet header, and ARP for IPv4");

static __always_inline int is_ours(const struct xdp_datagram *frame)
{
    __u16 port = bpf_ntohs(frame->udp_to);

    if (frame->eth_type == bpf_htons(ETH_P_ARP))
        return match.without_arp == 0 &&
               ((const struct arp *)(const void *)frame)->target == match.address;
    return frame->eth_type == bpf_htons(ETH_P_IP) && frame->version_ihl == IPV4_NO_OPTIONS &&
           frame->protocol == IPPROTO_UDP && (frame->fragment & bpf_htons(IPV4_FRAGMENT)) == 0 &&
           frame->ip_to == match.address && (__u16)(port - match.port_first) < match.nb_ports;
}

SEC("xdp")
int to_socket(struct xdp_md *context)
{
    const struct xdp_datagram *frame = (const void *)(long)context->data;
    const void *end = (const void *)(long)context->data_end;

    if ((const void *)(frame + 1) > end || !is_ours(frame))
        return XDP_PASS;
    return (int)bpf_redirect_map(&sockets, context->rx_queue_index, XDP_PASS);
}

char license_text[] SEC("license") = "BSD";
