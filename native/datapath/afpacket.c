/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datapath `afpacket`: whole frames by a packet socket (packet(7)), past the kernel's IP and UDP.
 *
 * Receive: a ring in memory shared with the kernel (TPACKET_V2,
 * Documentation/networking/packet_mmap.rst), a slot a frame. The kernel copies each frame that
 * passes the filter into the next free slot, without a system call of ours; a reply is written over
 * its request there. TPACKET_V3 hands over blocks of frames, the last one of a burst only when a
 * timer of at least a millisecond ends.
 *
 * Send: sendmmsg, past the queueing discipline (PACKET_QDISC_BYPASS). A ring for sending would save
 * that copy, but the kernel returns its slot when the receiver's IP layer has the packet, before
 * the bytes are read: on a veth, where no copy follows, the next reply would be written over one
 * that waits in the receiver's socket.
 *
 * The kernel's own stack gets every frame too: interface.h says what it does with ours. The filter
 * takes UDP datagrams to our address and port, and ARP for the address where no kernel has it.
 */
#include "frames.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "interface.h"

#define SLOT_BYTES 2048u
#define SLOTS 2048u
#define BLOCK_BYTES 65536u /* one allocation of the kernel */
#define SPARES 128u
/* The length reported for a frame that did not fit its slot, so that frames/ drops it. */
#define NO_FRAME_BYTES (FRAME_BYTES_MAX + 1u)
#define SEND_BUFFER_BYTES (4 << 20)

const char datapath_name[] = "afpacket";

/* Counted by the kernel, which forgets what it has told. */
struct dropped {
    uint64_t nb;
};

struct frames {
    struct interface interface;
    int fd;
    uint8_t *ring;
    uint32_t at; /* the slot that the kernel fills next */
    uint64_t nb_syscalls, nb_tx_errors;
    struct dropped *dropped;
    unsigned nb_free;
    uint8_t *free[SPARES];
    struct mmsghdr messages[2 * SERVICE_BURST_MAX];
    struct iovec iov[2 * SERVICE_BURST_MAX];
    uint8_t spares[SPARES][SLOT_BYTES];
};

_Static_assert(sizeof(_Atomic uint32_t) == sizeof(uint32_t), "a slot's status is shared");

/* Offsets in a frame (RFC 791, 3.1; RFC 768; RFC 826). */
#define AT_TYPE 12
#define AT_IP 14
#define AT_FRAGMENT 20
#define AT_PROTOCOL 23
#define AT_TARGET 30
#define AT_ARP_TARGET 38
#define FRAGMENT 0x3fff /* more fragments, or an offset */

/* Loads behind the frame's end reject it. X: the length of the IPv4 header. */
static const char *filter_set(const struct frames *frames)
{
    const struct interface *interface = &frames->interface;
    bool arp = interface->held < 0;
    uint32_t address;

    memcpy(&address, interface->address, sizeof(address));
    address = ntohl(address);
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 15),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AT_TYPE),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_ARP, arp ? 10 : 13, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 12),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_TARGET),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, address, 0, 10),
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, AT_PROTOCOL),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_UDP, 0, 8),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, AT_FRAGMENT),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, FRAGMENT, 6, 0),
        BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, AT_IP),
        BPF_STMT(BPF_LD | BPF_H | BPF_IND, AT_IP + 2),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, interface->port, 2, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, AT_ARP_TARGET),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, address, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const struct sock_fprog filter = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

    if (setsockopt(frames->fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) != 0)
        return interface_said("cannot set the packet socket's filter", errno);
    return NULL;
}

static void set(int fd, int level, int name, int value)
{
    /* Options set here are improvements only: errors are ignored. */
    (void)setsockopt(fd, level, name, &value, sizeof(value));
}

static const char *ring_open(struct frames *frames)
{
    const struct tpacket_req ring = {.tp_block_size = BLOCK_BYTES,
                                     .tp_block_nr = SLOTS * SLOT_BYTES / BLOCK_BYTES,
                                     .tp_frame_size = SLOT_BYTES,
                                     .tp_frame_nr = SLOTS};
    int version = TPACKET_V2;

    if (setsockopt(frames->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) != 0 ||
        setsockopt(frames->fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof(ring)) != 0)
        return interface_said("cannot make the packet socket's ring", errno);
    frames->ring =
        mmap(NULL, (size_t)SLOTS * SLOT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, frames->fd, 0);
    return frames->ring == MAP_FAILED ? interface_said("cannot map the packet socket's ring", errno)
                                      : NULL;
}

static const char *socket_open(struct frames *frames)
{
    struct sockaddr_ll local = {.sll_family = AF_PACKET,
                                .sll_protocol = htons(ETH_P_ALL),
                                .sll_ifindex = frames->interface.index};
    const struct timeval wait = {.tv_usec = DATAPATH_WAIT_NS / 1000};

    frames->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0); /* protocol 0: nothing comes yet */
    if (frames->fd < 0)
        return interface_said("cannot open a packet socket (it needs CAP_NET_RAW)", errno);
    const char *error = filter_set(frames);
    if (error == NULL)
        error = ring_open(frames);
    if (error != NULL)
        return error;
    set(frames->fd, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
    set(frames->fd, SOL_SOCKET, SO_SNDBUF, SEND_BUFFER_BYTES);
    set(frames->fd, SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER_BYTES); /* needs NET_ADMIN */
    (void)setsockopt(frames->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    int on = 1; /* without it the socket would receive its own replies */
    if (setsockopt(frames->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) != 0)
        return interface_said("packet sockets need Linux 4.20 or later", errno);
    if (bind(frames->fd, (const struct sockaddr *)&local, sizeof(local)) != 0)
        return interface_said("cannot bind a packet socket to the interface", errno);
    return NULL;
}

const char *frames_open(struct frames **out, const struct datapath_config *config)
{
    static struct dropped dropped;
    static struct frames frames;

    *out = &frames;
    frames.dropped = &dropped;
    const char *error = interface_open(&frames.interface, config);
    if (error == NULL)
        error = socket_open(&frames);
    if (error != NULL)
        return error;
    for (unsigned i = 0; i < SPARES; i++)
        frames.free[frames.nb_free++] = frames.spares[i];
    for (unsigned i = 0; i < 2 * SERVICE_BURST_MAX; i++) {
        frames.messages[i].msg_hdr.msg_iov = &frames.iov[i];
        frames.messages[i].msg_hdr.msg_iovlen = 1;
    }
    interface_drop_rights();
    return NULL;
}

void frames_mac(const struct frames *frames, uint8_t mac[6])
{
    memcpy(mac, frames->interface.mac, sizeof(frames->interface.mac));
}

uint64_t frames_tsc_hz(const struct frames *frames)
{
    (void)frames;
    return 0; /* polling would only delay the kernel, which needs this core to receive */
}

static _Atomic uint32_t *status_of(uint8_t *slot)
{
    return (_Atomic uint32_t *)(void *)&((struct tpacket2_hdr *)(void *)slot)->tp_status;
}

unsigned frames_rx_burst(struct frames *frames, struct frame *out, unsigned nb)
{
    unsigned nb_rx = 0;

    for (; nb_rx < nb; nb_rx++, frames->at = (frames->at + 1) % SLOTS) {
        uint8_t *slot = frames->ring + (size_t)frames->at * SLOT_BYTES;
        const struct tpacket2_hdr *header = (const void *)slot;
        uint32_t status = atomic_load_explicit(status_of(slot), memory_order_acquire);

        if ((status & TP_STATUS_USER) == 0)
            break;
        uint32_t len = header->tp_snaplen;
        bool whole = len == header->tp_len && header->tp_mac + FRAME_BYTES_MAX <= SLOT_BYTES;
        uint32_t good = TP_STATUS_CSUM_VALID | TP_STATUS_CSUMNOTREADY; /* not ready: from here */
        out[nb_rx] = (struct frame){.data = slot + header->tp_mac,
                                    .len = whole ? len : NO_FRAME_BYTES,
                                    .vouched = (status & good) != 0 ? FRAME_UDP_GOOD : 0,
                                    .buffer = slot};
    }
    return nb_rx;
}

unsigned frames_ahead(struct frames *frames, struct frame *out, unsigned nb)
{
    (void)frames, (void)out, (void)nb; /* the kernel copied them on this core, or soon will */
    return 0;
}

unsigned frames_alloc(struct frames *frames, struct frame *out, unsigned nb)
{
    unsigned i = 0;

    for (; i < nb && frames->nb_free > 0; i++) {
        uint8_t *spare = frames->free[--frames->nb_free];
        out[i] = (struct frame){.data = spare, .buffer = spare};
    }
    return i;
}

void frames_free(struct frames *frames, const struct frame *list, unsigned nb)
{
    const uint8_t *end = frames->ring + (size_t)SLOTS * SLOT_BYTES;

    for (unsigned i = 0; i < nb; i++) {
        uint8_t *buffer = list[i].buffer;
        if (buffer >= frames->ring && buffer < end)
            atomic_store_explicit(status_of(buffer), TP_STATUS_KERNEL, memory_order_release);
        else
            frames->free[frames->nb_free++] = buffer;
    }
}

unsigned frames_tx_burst(struct frames *frames, const struct frame *list, unsigned nb)
{
    unsigned nb_tx = 0;

    for (unsigned i = 0; i < nb; i++)
        frames->iov[i] = (struct iovec){list[i].data, list[i].len};
    while (nb_tx < nb) {
        int left = sendmmsg(frames->fd, frames->messages + nb_tx, nb - nb_tx, 0);
        frames->nb_syscalls++;
        if (left < 0 && errno == EINTR)
            continue; /* a signal, not a refusal */
        if (left <= 0) {
            frames->nb_tx_errors++;
            break;
        }
        nb_tx += (unsigned)left;
    }
    frames_free(frames, list, nb_tx); /* the kernel has its own copy */
    return nb_tx;
}

bool frames_wait(struct frames *frames, uint64_t ns)
{
    struct pollfd arrived = {.fd = frames->fd, .events = POLLIN};
    const struct timespec time = {.tv_nsec = (long)ns};

    frames->nb_syscalls++;
    (void)ppoll(&arrived, 1, &time, NULL); /* a signal ends it early */
    return true;
}

void frames_stats(const struct frames *frames, struct datapath_stats *stats)
{
    struct tpacket_stats told;
    socklen_t bytes = sizeof(told);

    if (getsockopt(frames->fd, SOL_PACKET, PACKET_STATISTICS, &told, &bytes) == 0)
        frames->dropped->nb += told.tp_drops;
    stats->nb_syscalls = frames->nb_syscalls;
    stats->nb_rx_errors = frames->dropped->nb;
    stats->nb_tx_errors = frames->nb_tx_errors;
}

void frames_close(struct frames *frames)
{
    (void)munmap(frames->ring, (size_t)SLOTS * SLOT_BYTES);
    close(frames->fd);
    interface_close(&frames->interface);
}
