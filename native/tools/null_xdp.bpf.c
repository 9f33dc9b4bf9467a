/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The null responder of the kernel's links: returns each UDP datagram for our port to its sender,
 * unread.
 *
 * It runs in the receive thread (NAPI) of the server's end, before a socket buffer is made where
 * the driver supports XDP, so it costs next to nothing: its rate is the rate of the generator and
 * the wire.
 *
 * Only plain IPv4 UDP frames are turned round. Everything else is passed to the kernel: VLAN tags,
 * IPv4 options, fragments, other ports and protocols.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../xsk/xdp_datagram.h"

#define IPV4_NO_OPTIONS 0x45 /* version 4, IHL 5 (RFC 791, 3.1) */
#define IPV4_FRAGMENT 0x3fff /* more fragments, or an offset (RFC 791, 3.1) */

/* Host order; set by the loader before the program is loaded. Not const and not zero, so that every
 * compiler places it in .data (GCC places a volatile constant there too). */
volatile __u16 port = 1;

static __always_inline int is_ours(const struct xdp_datagram *frame)
{
    return frame->eth_type == bpf_htons(ETH_P_IP) && frame->version_ihl == IPV4_NO_OPTIONS &&
           frame->protocol == IPPROTO_UDP && (frame->fragment & bpf_htons(IPV4_FRAGMENT)) == 0 &&
           frame->udp_to == bpf_htons(port);
}

static __always_inline void turn_round(struct xdp_datagram *frame)
{
    __u8 mac[ETH_ALEN];
    __be32 ip = frame->ip_from;
    __be16 from = frame->udp_from;

    __builtin_memcpy(mac, frame->eth_from, ETH_ALEN);
    __builtin_memcpy(frame->eth_from, frame->eth_to, ETH_ALEN);
    __builtin_memcpy(frame->eth_to, mac, ETH_ALEN);
    frame->ip_from = frame->ip_to;
    frame->ip_to = ip;
    frame->udp_from = frame->udp_to;
    frame->udp_to = from;
    /*
     * A veth leaves the checksum to hardware that does not exist: the frame has the sum of the
     * pseudo header alone. 0 means that there is no checksum (RFC 768). The IPv4 checksum is a sum,
     * so swapping its parts does not change it.
     */
    frame->udp_check = 0;
}

SEC("xdp")
int null_xdp(struct xdp_md *context)
{
    struct xdp_datagram *frame = (void *)(long)context->data;
    void *end = (void *)(long)context->data_end;

    if ((void *)(frame + 1) > end || !is_ours(frame))
        return XDP_PASS;
    turn_round(frame);
    return XDP_TX;
}

/* For the peer: see null_xdp.c. */
SEC("xdp")
int null_xdp_peer(struct xdp_md *context)
{
    (void)context;
    return XDP_PASS;
}

char license_text[] SEC("license") = "BSD";
