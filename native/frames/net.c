/* SPDX-License-Identifier: BSD-3-Clause */
/* The exact check of a frame, reason by reason, and the answers to ARP and ICMP; see net.h. */
#include "net.h"

#include "checksum.h"
#include "usual.h"

const char *net_check_listen(const struct source *listen)
{
    static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};
    uint8_t first = listen->addr[12];
    if (__builtin_memcmp(listen->addr, mapped_prefix, sizeof(mapped_prefix)) != 0)
        return "--listen: a frame datapath speaks IPv4 only; give an IPv4 address";
    if (first == 0 || first == 127 || first >= 224)
        return "--listen: give the IPv4 address that this server is to have on the wire, as "
               "10.0.0.2:11211";
    if (listen->port == 0)
        return "--listen: a frame datapath cannot choose a port; give one";
    return NULL;
}

static bool same_mac(const uint8_t *a, const uint8_t *b)
{
    return checksum_load(a, 6) == checksum_load(b, 6);
}

static bool is_group_mac(const uint8_t *mac)
{
    return mac[0] & 1;
}

static bool is_broadcast_mac(const uint8_t *mac)
{
    return checksum_load(mac, 6) == 0xffffffffffff;
}

static void set_words(uint64_t words[NET_WORDS], const struct ether_header *ether,
                      const struct ipv4_header *ip, const struct udp_header *udp)
{
    uint8_t bytes[FRAME_PAYLOAD_OFFSET];
    __builtin_memcpy(bytes, ether, sizeof(*ether));
    __builtin_memcpy(bytes + FRAME_NETWORK_OFFSET, ip, sizeof(*ip));
    __builtin_memcpy(bytes + FRAME_TRANSPORT_OFFSET, udp, sizeof(*udp));
    __builtin_memcpy(words, bytes, NET_WORDS * sizeof(words[0]));
}

/* Set the bits that all requests to us have in common. */
static void set_usual(struct net *net)
{
    struct ether_header ether = {.type = swap16(ETHER_TYPE_IPV4)};
    struct ipv4_header ip = {
        .version_ihl = IPV4_VERSION_IHL, .protocol = IPV4_PROTOCOL_UDP, .destination = net->ip};
    struct udp_header udp = {.destination_port = net->port};
    __builtin_memcpy(ether.destination, net->mac, 6);
    set_words(net->usual_want, &ether, &ip, &udp);

    ether.type = 0xffff;
    __builtin_memset(ether.destination, 0xff, 6);
    ether.source[0] = 1; /* the group bit */
    ip = (struct ipv4_header){.version_ihl = 0xff,
                              .fragment = swap16(IPV4_FRAGMENT),
                              .protocol = 0xff,
                              .destination = 0xffffffff};
    udp.destination_port = 0xffff;
    set_words(net->usual_mask, &ether, &ip, &udp);
}

/* Set the bits that all our replies have in common. They have "don't fragment" and an
 * identification of 0: such a datagram needs no identification (RFC 6864, 4.1). */
static void set_reply(struct net *net)
{
    struct ether_header ether = {.type = swap16(ETHER_TYPE_IPV4)};
    struct ipv4_header ip = {.version_ihl = IPV4_VERSION_IHL,
                             .fragment = swap16(IPV4_DONT_FRAGMENT),
                             .ttl = IPV4_TTL,
                             .protocol = IPV4_PROTOCOL_UDP,
                             .source = net->ip};
    struct udp_header udp = {.source_port = net->port};
    __builtin_memcpy(ether.source, net->mac, 6);
    set_words(net->reply_words, &ether, &ip, &udp);
    net->reply_sum = checksum_add(0, (const uint8_t *)&ip, sizeof(ip));
}

void net_open(struct net *net, const uint8_t mac[6], const uint8_t addr[4], uint16_t port)
{
    __builtin_memcpy(net->mac, mac, 6);
    __builtin_memcpy(&net->ip, addr, 4);
    net->port = swap16(port);
    set_usual(net);
    set_reply(net);
}

/* Sum the pseudo header (RFC 768) and the datagram; 0xffff if the checksum in it is correct. */
static uint16_t udp_sum(const uint8_t *frame, uint32_t udp_bytes)
{
    uint64_t sum = swap16(IPV4_PROTOCOL_UDP) + (uint64_t)swap16((uint16_t)udp_bytes);
    sum = checksum_add(sum, frame + 26, 8); /* both addresses */
    return checksum_fold(checksum_add(sum, frame + FRAME_TRANSPORT_OFFSET, udp_bytes));
}

bool net_udp_checksum_is_right(const uint8_t *frame, uint32_t udp_bytes)
{
    return udp_sum(frame, udp_bytes) == 0xffff;
}

void net_udp_checksum_set(uint8_t *frame, uint32_t udp_bytes)
{
    struct udp_header *udp = (struct udp_header *)(frame + FRAME_TRANSPORT_OFFSET);
    udp->checksum = 0;
    uint16_t checksum = (uint16_t)~udp_sum(frame, udp_bytes);
    udp->checksum = checksum != 0 ? checksum : 0xffff; /* 0 would mean "none" (RFC 768) */
}

bool net_arp_asks_for_us(const struct net *net, const uint8_t *frame)
{
    const struct arp_packet *arp = (const struct arp_packet *)(frame + FRAME_NETWORK_OFFSET);
    return arp->hardware_type == swap16(ARP_HARDWARE_ETHERNET) &&
           arp->protocol_type == swap16(ETHER_TYPE_IPV4) && arp->hardware_bytes == 6 &&
           arp->protocol_bytes == 4 && arp->operation == swap16(ARP_REQUEST) &&
           arp->target_ip == net->ip && !is_group_mac(arp->sender_mac) &&
           !same_mac(arp->sender_mac, net->mac) && checksum_load(arp->sender_mac, 6) != 0 &&
           (arp->sender_ip == 0 || net_source_is_sound(net, arp->sender_ip));
}

static bool answer_arp(const struct net *net, struct frame *frame)
{
    struct ether_header *ether = (struct ether_header *)frame->data;
    struct arp_packet *arp = (struct arp_packet *)(frame->data + FRAME_NETWORK_OFFSET);
    if (!net_arp_asks_for_us(net, frame->data))
        return false;
    arp->operation = swap16(ARP_REPLY);
    __builtin_memcpy(arp->target_mac, arp->sender_mac, 6);
    arp->target_ip = arp->sender_ip;
    __builtin_memcpy(arp->sender_mac, net->mac, 6);
    arp->sender_ip = net->ip;
    __builtin_memcpy(ether->destination, arp->target_mac, 6);
    __builtin_memcpy(ether->source, net->mac, 6);
    frame->len = FRAME_ARP_BYTES; /* any bytes behind it are padding */
    return true;
}

/* Turn a valid echo request into its reply (RFC 792; RFC 1122, 3.2.2.6: the data are returned). */
static bool answer_icmp(const struct net *net, struct frame *frame, uint32_t icmp_bytes)
{
    struct ether_header *ether = (struct ether_header *)frame->data;
    struct ipv4_header *ip = (struct ipv4_header *)(frame->data + FRAME_NETWORK_OFFSET);
    uint8_t *at = frame->data + FRAME_TRANSPORT_OFFSET;
    struct icmp_header *icmp = (struct icmp_header *)at;
    if (icmp_bytes < sizeof(*icmp) || icmp->type != ICMP_ECHO_REQUEST || icmp->code != 0 ||
        checksum_fold(checksum_add(0, at, icmp_bytes)) != 0xffff)
        return false;
    icmp->type = ICMP_ECHO_REPLY;
    icmp->checksum = 0;
    icmp->checksum = (be16)~checksum_fold(checksum_add(0, at, icmp_bytes));

    __builtin_memcpy(ether->destination, ether->source, 6);
    __builtin_memcpy(ether->source, net->mac, 6);
    ip->tos = 0;
    ip->id = 0;
    ip->fragment = swap16(IPV4_DONT_FRAGMENT);
    ip->ttl = IPV4_TTL;
    ip->destination = ip->source;
    ip->source = net->ip;
    ip->checksum = 0;
    ip->checksum = (be16)~checksum_fold(checksum_add(0, (const uint8_t *)ip, sizeof(*ip)));
    frame->len = FRAME_TRANSPORT_OFFSET + icmp_bytes;
    return true;
}

/* Check the IPv4 header. Headers with options are refused: options request services from the
 * receiver (source routes) that a server should not provide (RFC 7126, 4). */
static enum drop_reason check_ipv4(const struct net *net, const struct frame *frame)
{
    const uint8_t *at = frame->data + FRAME_NETWORK_OFFSET;
    const struct ipv4_header *ip = (const struct ipv4_header *)at;
    uint32_t total_bytes = swap16(ip->total_bytes);
    if (ip->version_ihl != IPV4_VERSION_IHL || total_bytes < sizeof(*ip) ||
        total_bytes > frame->len - FRAME_NETWORK_OFFSET || ip->ttl == 0)
        return DROP_IP;
    if (!(frame->vouched & FRAME_IP_GOOD) &&
        checksum_fold(checksum_add(0, at, sizeof(*ip))) != 0xffff)
        return DROP_IP;
    if (ip->fragment & swap16(IPV4_FRAGMENT))
        return DROP_FRAGMENT;
    if (ip->destination != net->ip || !net_source_is_sound(net, ip->source))
        return DROP_ADDR;
    return DROP_NONE;
}

/* Check the UDP header. The datagram's length must match the packet's: bytes behind the packet are
 * Ethernet's padding, but bytes between datagram and packet end have no valid cause. */
static enum drop_reason check_udp(const struct net *net, const struct frame *frame,
                                  uint32_t udp_bytes)
{
    const struct udp_header *udp =
        (const struct udp_header *)(frame->data + FRAME_TRANSPORT_OFFSET);
    if (udp_bytes < sizeof(*udp) || swap16(udp->total_bytes) != udp_bytes)
        return DROP_UDP;
    if (udp->checksum != 0 && !(frame->vouched & FRAME_UDP_GOOD) &&
        !net_udp_checksum_is_right(frame->data, udp_bytes))
        return DROP_UDP;
    if (udp->destination_port != net->port || udp->source_port == 0)
        return DROP_PORT;
    return DROP_NONE;
}

/* Check everything behind the Ethernet header. */
static enum drop_reason receive_ipv4(const struct net *net, struct frame *frame,
                                     struct request *request, bool *answer)
{
    const struct ipv4_header *ip = (const struct ipv4_header *)(frame->data + FRAME_NETWORK_OFFSET);
    if (frame->len < FRAME_TRANSPORT_OFFSET)
        return DROP_FRAME;
    enum drop_reason drop = check_ipv4(net, frame);
    if (drop != DROP_NONE)
        return drop;
    uint32_t bytes = swap16(ip->total_bytes) - (uint32_t)sizeof(*ip);
    if (ip->protocol == IPV4_PROTOCOL_ICMP) {
        *answer = answer_icmp(net, frame, bytes);
        return DROP_ICMP;
    }
    if (ip->protocol != IPV4_PROTOCOL_UDP)
        return DROP_PROTOCOL;
    drop = check_udp(net, frame, bytes);
    if (drop == DROP_NONE)
        net_fill_request(request, frame->data, bytes);
    return drop;
}

static enum drop_reason receive(const struct net *net, struct frame *frame, struct request *request,
                                bool *answer)
{
    const struct ether_header *ether = (const struct ether_header *)frame->data;
    if (frame->len < sizeof(*ether) || frame->len > FRAME_BYTES_MAX)
        return DROP_FRAME;
    bool is_arp = ether->type == swap16(ETHER_TYPE_ARP);
    if (is_group_mac(ether->source) || !(same_mac(ether->destination, net->mac) ||
                                         (is_arp && is_broadcast_mac(ether->destination))))
        return DROP_MAC;
    if (is_arp) {
        if (frame->len < FRAME_ARP_BYTES)
            return DROP_FRAME;
        *answer = answer_arp(net, frame);
        return DROP_ARP;
    }
    if (ether->type != swap16(ETHER_TYPE_IPV4))
        return DROP_ETHERTYPE;
    return receive_ipv4(net, frame, request, answer);
}

enum drop_reason net_receive(const struct net *net, struct frame *frame, struct request *request,
                             bool *answer)
{
    *answer = false;
    *request = (struct request){.data = frame->data};
    request->drop = receive(net, frame, request, answer);
    return request->drop;
}
