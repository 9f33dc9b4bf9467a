/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The headers in front of a request, as they lie in a frame: Ethernet II, ARP (RFC 826), IPv4
 * (RFC 791), ICMP (RFC 792), UDP (RFC 768).
 *
 * Every field of more than a byte is in network order, which its type shows. No field is aligned,
 * because an Ethernet header is 14 bytes long.
 */
#ifndef NEARMETAL_HEADERS_H
#define NEARMETAL_HEADERS_H

#include <stddef.h>
#include <stdint.h>

typedef uint16_t be16;
typedef uint32_t be32;

#define HEADER __attribute__((packed, may_alias))

#define ETHER_TYPE_IPV4 0x0800u
#define ETHER_TYPE_ARP 0x0806u

struct HEADER ether_header {
    uint8_t destination[6];
    uint8_t source[6];
    be16 type;
};

#define ARP_HARDWARE_ETHERNET 1u
#define ARP_REQUEST 1u
#define ARP_REPLY 2u

struct HEADER arp_packet {
    be16 hardware_type;
    be16 protocol_type;
    uint8_t hardware_bytes;
    uint8_t protocol_bytes;
    be16 operation;
    uint8_t sender_mac[6];
    be32 sender_ip;
    uint8_t target_mac[6];
    be32 target_ip;
};

#define IPV4_VERSION_IHL 0x45u /* version 4, a header of five 32-bit words: no options */
#define IPV4_TTL 64u           /* of sent packets (RFC 1700) */
#define IPV4_DONT_FRAGMENT 0x4000u
#define IPV4_FRAGMENT 0x3fffu /* "more fragments" and the offset: both 0 in a whole packet */
#define IPV4_PROTOCOL_ICMP 1u
#define IPV4_PROTOCOL_UDP 17u

struct HEADER ipv4_header {
    uint8_t version_ihl;
    uint8_t tos;
    be16 total_bytes; /* header included */
    be16 id;
    be16 fragment;
    uint8_t ttl;
    uint8_t protocol;
    be16 checksum;
    be32 source;
    be32 destination;
};

#define ICMP_ECHO_REQUEST 8u
#define ICMP_ECHO_REPLY 0u

struct HEADER icmp_header {
    uint8_t type;
    uint8_t code;
    be16 checksum;
    be16 id;
    be16 sequence;
};

struct HEADER udp_header {
    be16 source_port;
    be16 destination_port;
    be16 total_bytes; /* header included */
    be16 checksum;    /* 0: none */
};

_Static_assert(sizeof(struct ether_header) == 14, "Ethernet II");
_Static_assert(sizeof(struct arp_packet) == 28 && offsetof(struct arp_packet, target_ip) == 24,
               "RFC 826, for Ethernet and IPv4");
_Static_assert(sizeof(struct ipv4_header) == 20 && offsetof(struct ipv4_header, destination) == 16,
               "RFC 791, 3.1");
_Static_assert(sizeof(struct icmp_header) == 8, "RFC 792");
_Static_assert(sizeof(struct udp_header) == 8, "RFC 768");

/* Offsets of network header, transport header and payload in a frame; bytes of an ARP frame. */
#define FRAME_NETWORK_OFFSET 14u
#define FRAME_TRANSPORT_OFFSET 34u
#define FRAME_PAYLOAD_OFFSET 42u
#define FRAME_ARP_BYTES 42u

/* Convert to network order and back: the machine is little-endian. */
static inline uint16_t swap16(uint16_t value)
{
    return __builtin_bswap16(value);
}

#endif
