/* SPDX-License-Identifier: BSD-3-Clause */
/* Which parts of lwIP are built, and how; README.md gives the reasons. All other options have
 * lwIP's defaults. */
#ifndef NEARMETAL_LWIPOPTS_H
#define NEARMETAL_LWIPOPTS_H

/* One thread, no operating system: raw callbacks only. */
#define NO_SYS 1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN 0
#define LWIP_SOCKET 0

/* Ethernet, ARP, IPv4, ICMP and UDP; nothing else. */
#define LWIP_ETHERNET 1
#define LWIP_ARP 1
#define LWIP_IPV4 1
#define LWIP_ICMP 1
#define LWIP_UDP 1
#define LWIP_IPV6 0
#define LWIP_TCP 0
#define LWIP_RAW 0
#define LWIP_DHCP 0
#define LWIP_AUTOIP 0
#define LWIP_IGMP 0
#define LWIP_DNS 0
#define PPP_SUPPORT 0

/* One interface: no routing, no loopback, no search through a list. */
#define LWIP_SINGLE_NETIF 1
#define LWIP_HAVE_LOOPIF 0
#define LWIP_NETIF_LOOPBACK 0
#define LWIP_NETIF_TX_SINGLE_PBUF 1

/* Features that frames/ refuses too: IP options and fragments. No queue of packets that wait for
 * ARP. */
#define IP_OPTIONS_ALLOWED 0
#define IP_REASSEMBLY 0
#define IP_FRAG 0
#define ARP_QUEUEING 0
#define ARP_TABLE_SIZE 4

/* Also the TTL of ICMP and UDP packets (RFC 1700); frames/ uses the same. */
#define IP_DEFAULT_TTL 64

/* All checksums are checked and made in software. The datapath skips, frame by frame, those that
 * the wire vouches for. */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1
#define LWIP_INLINE_IP_CHKSUM 1

/* A frame is a pbuf that the datapath owns. lwIP's own memory holds only answers that lwIP makes
 * itself, one at a time: an ARP reply, or an ICMP error, which is then not sent. */
#define LWIP_SUPPORT_CUSTOM_PBUF 1
#define MEM_LIBC_MALLOC 0
#define MEMP_MEM_MALLOC 0
#define MEM_ALIGNMENT 8
#define MEM_SIZE 512
#define MEMP_NUM_UDP_PCB 1
#define MEMP_NUM_PBUF 1
#define PBUF_POOL_SIZE 1
#define PBUF_POOL_BUFSIZE 128

/* Only serve.c counts. */
#define LWIP_STATS 0

#endif
