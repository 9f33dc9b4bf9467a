/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datapath `lwip`: a datagram datapath over frames that uses lwIP for Ethernet, ARP, IPv4, ICMP and
 * UDP, in both directions, through its raw callbacks (uk/lib/lwip/README.md says how it is built).
 *
 * No payload is copied: a frame is lent to lwIP as the payload of a pbuf. One pbuf struct serves
 * all frames in turn, because no pbuf outlives the call that it is passed to: a datagram that lwIP
 * delivers is noted as a request, and its reply is sent as a new pbuf over the same bytes, in front
 * of which lwIP writes its headers.
 *
 * A reply is sent to the MAC address that its request came from: `output` writes that address and
 * does not use the ARP cache. So clients cost no ARP requests and no cache entries. ARP requests
 * for our address are answered by lwIP, in memory of its own; the answer is copied into the frame
 * of the request.
 *
 * lwIP accepts more than a server should (sources that are groups, a TTL of 0, a UDP length that
 * differs from the packet's, ...). `lwip_may_have` checks what lwIP does not. For a frame that is
 * not a request, frames/ finds the reason (drop.h) but sends no answer: answers are lwIP's. lwIP's
 * ICMP errors are not sent: a server of frames is silent where it does not serve.
 */
/* First: macros of frames/ have the names of some of lwIP's constants. */
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/pbuf.h"
#include "lwip/sys.h"
#include "lwip/timeouts.h"
#include "lwip/udp.h"
#include "netif/ethernet.h"

#include "burst.h"
#include "usual.h"

#define MS_PER_SECOND 1000u
#define NOT_SAID NB_DROP_REASONS

const char datapath_name[] = "lwip";

/* The receiver of a reply, and of the reply's further datagrams. */
struct peer {
    struct eth_addr mac;
    ip_addr_t ip;
    uint16_t port;
    bool with_checksum; /* as in the request: a checksum of 0 means "none" (RFC 768) */
};

struct datapath {
    struct net net; /* finds the drop reason of a frame */
    struct source listen;
    struct turns turns;
    struct burst burst;
    struct netif netif;
    struct udp_pcb *pcb;
    uint64_t tick_tsc, tick_cycles; /* lwIP's timers: last check, cycles between */
    struct peer peer;
    /* The frame that lwIP handles now, and the outcome: */
    struct frame *frame;
    struct request *request;  /* NULL: a reply is being sent */
    enum drop_reason verdict; /* NOT_SAID: no request, and not answered */
    bool is_sent;
};

/*
 * lwIP puts a header in front of a payload only if the header is then still behind the pbuf's
 * struct, as in a single allocation. Therefore this struct is placed in the initialised data, below
 * all frames.
 */
static struct pbuf_custom lent __attribute__((section(".data.lwip_lent")));

static struct datapath the_datapath;

u32_t sys_now(void)
{
    uint64_t hz = frames_tsc_hz(the_datapath.burst.frames);
    return (u32_t)(__builtin_ia32_rdtsc() / (hz / MS_PER_SECOND));
}

/* Called when lwIP frees the pbuf: nothing to do, because `lent` is set up anew for each frame. */
static void take_back(struct pbuf *pbuf)
{
    (void)pbuf;
}

static inline struct pbuf *lend(uint8_t *data, uint32_t len)
{
    if (__builtin_expect(data < (uint8_t *)(&lent + 1), 0))
        __builtin_trap(); /* linked or placed wrongly: no reply would ever get its headers */
    lent.custom_free_function = take_back;
    return pbuf_alloced_custom(PBUF_RAW, (u16_t)len, PBUF_RAM, &lent, data, FRAME_BYTES_MAX);
}

static inline bool is_lent(const struct pbuf *pbuf)
{
    return pbuf == &lent.pbuf;
}

/* Called by udp_input with a request to us. */
static void on_datagram(void *arg, struct udp_pcb *pcb, struct pbuf *pbuf, const ip_addr_t *source,
                        u16_t port)
{
    struct datapath *dp = arg;
    struct request *request = dp->request;
    uint64_t low = 0xffff0000ull | (uint64_t)ip4_addr_get_u32(ip_2_ip4(source)) << 32;

    (void)pcb;
    request->data = request->room = pbuf->payload;
    request->len = pbuf->len;
    request->room_bytes = FRAME_BYTES_MAX - FRAME_PAYLOAD_OFFSET;
    /* ::ffff:a.b.c.d (RFC 4291, 2.5.5.2) */
    __builtin_memset(request->source.addr, 0, 8);
    __builtin_memcpy(request->source.addr + 8, &low, 8);
    request->source.port = port;
    request->drop = dp->verdict = DROP_NONE;
}

/* Called by ip4_output_if with an IPv4 packet: send it to the MAC address of the request. */
static err_t output(struct netif *netif, struct pbuf *pbuf, const ip4_addr_t *ip)
{
    struct datapath *dp = netif->state;

    (void)ip;
    if (!is_lent(pbuf)) /* made by lwIP: an ICMP error */
        return ERR_OK;
    if (dp->request != NULL) /* an echo request: lwIP replies before it returns */
        __builtin_memcpy(&dp->peer.mac, dp->frame->data + 6, 6);
    return ethernet_output(netif, pbuf, (const struct eth_addr *)netif->hwaddr, &dp->peer.mac,
                           ETHTYPE_IP);
}

/* Called by ethernet_output with a whole frame: note it for sending with the burst's replies. */
static err_t linkoutput(struct netif *netif, struct pbuf *pbuf)
{
    struct datapath *dp = netif->state;
    struct frame *frame = dp->frame;

    if (frame == NULL || pbuf->next != NULL || pbuf->len > FRAME_BYTES_MAX)
        return ERR_IF;
    if (!is_lent(pbuf))
        __builtin_memcpy(frame->data, pbuf->payload, pbuf->len); /* an ARP reply */
    else if (pbuf->payload != frame->data)
        return ERR_IF;
    frame->len = pbuf->len;
    dp->is_sent = true;
    if (dp->request != NULL)
        dp->verdict = is_lent(pbuf) ? DROP_ICMP : DROP_ARP;
    return ERR_OK;
}

static err_t init_netif(struct netif *netif)
{
    const struct datapath *dp = netif->state;

    netif->name[0] = 'n';
    netif->name[1] = 'm';
    netif->mtu = FRAME_BYTES_MAX - FRAME_NETWORK_OFFSET;
    netif->hwaddr_len = ETH_HWADDR_LEN;
    __builtin_memcpy(netif->hwaddr, dp->net.mac, ETH_HWADDR_LEN);
    netif->output = output;
    netif->linkoutput = linkoutput;
    /* Up from the start, so that no gratuitous ARP is sent. Without NETIF_FLAG_BROADCAST no address
     * counts as a network's broadcast address: the network's mask is unknown. */
    netif->flags = NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET | NETIF_FLAG_LINK_UP | NETIF_FLAG_UP;
    return ERR_OK;
}

static bool open_lwip(struct datapath *dp)
{
    static bool is_initialised; /* lwIP's timers may be started only once */
    ip4_addr_t ip;

    if (!is_initialised)
        lwip_init();
    is_initialised = true;
    ip4_addr_set_u32(&ip, dp->net.ip);
    if (netif_add(&dp->netif, &ip, NULL, NULL, dp, init_netif, ethernet_input) == NULL)
        return false;
    netif_set_default(&dp->netif);
    dp->pcb = udp_new();
    if (dp->pcb == NULL || udp_bind(dp->pcb, &dp->netif.ip_addr, dp->listen.port) != ERR_OK)
        return false;
    udp_recv(dp->pcb, on_datagram, dp);
    return true;
}

const char *datapath_open(struct datapath **datapath, const struct datapath_config *config)
{
    struct datapath *dp = &the_datapath;

    *datapath = dp;
    dp->listen = config->listen;
    const char *error = burst_open(&dp->burst, &dp->net, &dp->turns, config);
    if (error != NULL)
        return error;
    dp->tick_tsc = dp->turns.turn_tsc;
    dp->tick_cycles = frames_tsc_hz(dp->burst.frames);
    return open_lwip(dp) ? NULL : "lwIP was built too small for an interface and a port";
}

struct source datapath_listen(const struct datapath *dp)
{
    return dp->listen;
}

/*
 * Check what lwIP does not check, or accepts, in an IPv4 frame: MAC addresses, a TTL of 0, sources
 * and destinations that are not one host's, a UDP length that differs from the packet's, source
 * port 0, the code of an echo request. The frame holds at least 42 bytes.
 */
static inline bool may_have_ipv4(const struct net *net, const uint8_t *data)
{
    const struct ipv4_header *ip = (const struct ipv4_header *)(data + FRAME_NETWORK_OFFSET);
    const struct udp_header *udp = (const struct udp_header *)(data + FRAME_TRANSPORT_OFFSET);

    /* to us, not from a group */
    if (((checksum_load(data, 8) & net->usual_mask[0]) ^ net->usual_want[0]) != 0)
        return false;
    if (ip->ttl == 0 || ip->destination != net->ip || !net_source_is_sound(net, ip->source))
        return false;
    if (ip->protocol == IPV4_PROTOCOL_UDP)
        return swap16(udp->total_bytes) + sizeof(*ip) == swap16(ip->total_bytes) &&
               udp->source_port != 0;
    return ip->protocol != IPV4_PROTOCOL_ICMP || data[FRAME_TRANSPORT_OFFSET + 1] == 0;
}

/* Check an ARP frame: etharp_input() reads an ARP packet without checking that it is complete, and
 * answers any sender that the packet names. */
static bool may_have_arp(const struct net *net, const uint8_t *data)
{
    uint64_t to = checksum_load(data, 6);
    bool is_to_us = to == checksum_load(net->mac, 6) || to == 0xffffffffffff;
    return is_to_us && !(data[6] & 1) && net_arp_asks_for_us(net, data);
}

static inline bool lwip_may_have(const struct net *net, const struct frame *frame)
{
    const struct ether_header *ether = (const struct ether_header *)frame->data;

    if (frame->len - FRAME_PAYLOAD_OFFSET > FRAME_BYTES_MAX - FRAME_PAYLOAD_OFFSET)
        return false;
    if (__builtin_expect(ether->type == swap16(ETHER_TYPE_IPV4), 1))
        return may_have_ipv4(net, frame->data);
    return ether->type == swap16(ETHER_TYPE_ARP) && may_have_arp(net, frame->data);
}

/* Set the drop reason that frames/ finds, for a frame that is no request and was not answered. */
static void say_why(struct datapath *dp, struct frame *frame, struct request *request)
{
    bool answer;

    if (net_receive(&dp->net, frame, request, &answer) == DROP_NONE)
        *request = (struct request){.data = frame->data, .drop = DROP_UDP}; /* only lwIP refused
                                                                             * it */
}

static void receive_one(struct datapath *dp, unsigned index, struct request *request)
{
    struct frame *frame = &dp->burst.rx[index];

    dp->verdict = NOT_SAID;
    if (__builtin_expect(lwip_may_have(&dp->net, frame), 1)) {
        dp->frame = frame;
        dp->request = request;
        u16_t vouched = (frame->vouched & FRAME_IP_GOOD ? NETIF_CHECKSUM_CHECK_IP : 0) |
                        (frame->vouched & FRAME_UDP_GOOD ? NETIF_CHECKSUM_CHECK_UDP : 0);
        NETIF_SET_CHECKSUM_CTRL(&dp->netif, NETIF_CHECKSUM_ENABLE_ALL & ~vouched);
        (void)ethernet_input(lend(frame->data, frame->len), &dp->netif);
    }
    if (__builtin_expect(dp->verdict == DROP_NONE, 1))
        return;
    if (dp->verdict == NOT_SAID) {
        say_why(dp, frame, request);
        return;
    }
    burst_answer(&dp->burst, index);
    *request = (struct request){.data = frame->data, .drop = dp->verdict};
}

/* Run lwIP's timers once a second: they age its ARP cache. */
static inline void tick(struct datapath *dp)
{
    if (__builtin_expect(dp->turns.turn_tsc - dp->tick_tsc < dp->tick_cycles, 1))
        return;
    dp->tick_tsc = dp->turns.turn_tsc;
    dp->frame = NULL;
    sys_check_timeouts();
}

unsigned datapath_rx_burst(struct datapath *dp, struct request *requests, unsigned nb)
{
    turns_begin(&dp->turns);
    unsigned nb_rx = frames_rx_burst(dp->burst.frames, dp->burst.rx, nb);
    turns_found(&dp->turns, dp->burst.frames, nb_rx);
    tick(dp);
    if (nb_rx == 0)
        return 0;
    burst_begin(&dp->burst, nb_rx);
    for (unsigned i = 0; i < nb_rx; i++)
        receive_one(dp, i, &requests[i]);
    return nb_rx;
}

unsigned datapath_ahead(struct datapath *dp, struct request *requests, unsigned nb)
{
    return burst_ahead(&dp->burst, requests, nb);
}

unsigned datapath_lend(struct datapath *dp, struct reply *replies, unsigned nb)
{
    return burst_lend(&dp->burst, replies, nb);
}

/* Read the sender of the request in this frame. */
static inline void read_peer(struct peer *peer, const uint8_t *data)
{
    __builtin_memcpy(&peer->mac, data + 6, 6);
    ip4_addr_set_u32(ip_2_ip4(&peer->ip), (u32_t)checksum_load(data + 26, 4));
    peer->port = swap16((uint16_t)checksum_load(data + FRAME_TRANSPORT_OFFSET, 2));
    peer->with_checksum = checksum_load(data + 40, 2) != 0;
}

/* Have lwIP write its headers in front of a payload. Returns false if it did not. */
static inline bool send_one(struct datapath *dp, struct frame *frame, uint32_t len)
{
    struct pbuf *pbuf = lend(frame->data + FRAME_PAYLOAD_OFFSET, len);

    dp->frame = frame;
    dp->is_sent = false;
    udp_setflags(dp->pcb, dp->peer.with_checksum ? 0 : UDP_FLAGS_NOCHKSUM);
    (void)udp_sendto_if_src(dp->pcb, pbuf, &dp->peer.ip, dp->peer.port, &dp->netif,
                            &dp->netif.ip_addr);
    return __builtin_expect(dp->is_sent, 1);
}

static void put_replies(struct datapath *dp, const struct reply *replies, unsigned nb,
                        struct outgoing *out)
{
    dp->request = NULL;
    NETIF_SET_CHECKSUM_CTRL(&dp->netif, NETIF_CHECKSUM_ENABLE_ALL);
    for (unsigned i = 0; i < nb; i++) {
        const struct reply *reply = &replies[i];
        struct frame *frame = burst_frame_of(&dp->burst, reply);
        out->position[i] = BURST_NOT_SENT;
        if (burst_is_lost(&dp->burst, reply))
            continue;
        if (!burst_is_spare(reply))
            read_peer(&dp->peer, frame->data);
        if (send_one(dp, frame, reply->len))
            burst_put(&dp->burst, out, reply, i, frame, frame->len);
    }
}

void datapath_tx_burst(struct datapath *dp, const struct reply *replies, unsigned nb, bool *sent)
{
    struct outgoing out;

    burst_put_answers(&dp->burst, &out);
    put_replies(dp, replies, nb, &out);
    burst_send(&dp->burst, replies, nb, &out, sent);
}

void datapath_release(struct datapath *dp)
{
    burst_release(&dp->burst);
}

void datapath_stats(const struct datapath *dp, struct datapath_stats *stats)
{
    *stats = dp->turns.stats;
    frames_stats(dp->burst.frames, stats);
}

void datapath_close(struct datapath *dp)
{
    udp_remove(dp->pcb);
    netif_remove(&dp->netif);
    burst_close(&dp->burst);
}
