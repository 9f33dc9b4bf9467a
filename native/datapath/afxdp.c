/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datapath `afxdp`: whole frames by an AF_XDP socket (xsk/xsk.h), before the kernel's stack.
 *
 * An XDP program leads our frames from queue 0 of the interface to memory that the kernel shares; a
 * reply is written over its request and sent from there: the same frame goes from the receive ring
 * to the transmit ring. Where the driver has zero-copy mode, neither direction copies; on a veth
 * the kernel copies both times. Other frames go on to the kernel, and so do those of other queues,
 * where interface.h says what the kernel does with ours.
 */
#include "frames.h"

#include <string.h>

#include "interface.h"
#include "xsk.h"

/* The length reported for a frame without room for a reply, so that frames/ drops it. */
#define NO_FRAME_BYTES (FRAME_BYTES_MAX + 1u)

const char datapath_name[] = "afxdp";

struct frames {
    struct interface interface;
    struct xsk *xsk;
    uint64_t nb_tx_errors; /* bursts that were not taken whole */
};

const char *frames_open(struct frames **out, const struct datapath_config *config)
{
    static struct frames frames;

    *out = &frames;
    const char *error = interface_open(&frames.interface, config);
    if (error != NULL)
        return error;
    struct xsk_config xsk = {.iface = frames.interface.name,
                             .port_first = frames.interface.port,
                             .nb_ports = 1,
                             .without_arp = frames.interface.held >= 0};
    memcpy(xsk.address, frames.interface.address, sizeof(xsk.address));
    error = xsk_open(&frames.xsk, &xsk);
    if (error == NULL)
        interface_drop_rights();
    return error;
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

/* Offsets of the fields that a UDP checksum covers beside the datagram (RFC 768). */
#define AT_VERSION 14
#define AT_PROTOCOL 23
#define AT_ENDS 26
#define AT_UDP_LENGTH 38
#define AT_UDP_CHECKSUM 40
#define IPV4_NO_OPTIONS 0x45
#define UDP 17

static uint32_t word_at(const uint8_t *frame, unsigned at)
{
    return (uint32_t)frame[at] << 8 | frame[at + 1];
}

/*
 * Whether the checksum is the sum of the pseudo header alone: what a kernel writes that leaves the
 * rest to the device. A veth is no such device, so frames from this machine arrive in this form;
 * they have crossed no cable.
 */
static bool is_left_to_the_device(const uint8_t *frame, uint32_t len)
{
    if (len < FRAME_HEADERS_BYTES || frame[AT_VERSION] != IPV4_NO_OPTIONS ||
        frame[AT_PROTOCOL] != UDP)
        return false;
    uint32_t sum = UDP + word_at(frame, AT_UDP_LENGTH);
    for (unsigned at = AT_ENDS; at < AT_ENDS + 8; at += 2)
        sum += word_at(frame, at);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return sum == word_at(frame, AT_UDP_CHECKSUM);
}

unsigned frames_rx_burst(struct frames *frames, struct frame *out, unsigned nb)
{
    struct xsk_frame taken[SERVICE_BURST_MAX];
    unsigned nb_rx = xsk_take(frames->xsk, taken, nb);

    for (unsigned i = 0; i < nb_rx; i++) {
        uint8_t *data = taken[i].data;
        /* The kernel leaves room in front of a frame; the memory begins at a multiple. */
        bool fits = (uintptr_t)data % XSK_FRAME_BYTES + FRAME_BYTES_MAX <= XSK_FRAME_BYTES;
        bool vouched =
            frames->interface.is_veth && fits && is_left_to_the_device(data, taken[i].len);
        out[i] = (struct frame){.data = data,
                                .len = fits ? taken[i].len : NO_FRAME_BYTES,
                                .vouched = vouched ? FRAME_UDP_GOOD : 0,
                                .buffer = data};
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
    struct xsk_frame empty[SERVICE_BURST_MAX];

    nb = xsk_alloc(frames->xsk, empty, nb < SERVICE_BURST_MAX ? nb : SERVICE_BURST_MAX);
    for (unsigned i = 0; i < nb; i++)
        out[i] = (struct frame){.data = empty[i].data, .buffer = empty[i].data};
    return nb;
}

static void list_of(struct xsk_frame *to, const struct frame *list, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++)
        to[i] = (struct xsk_frame){list[i].data, list[i].len};
}

unsigned frames_tx_burst(struct frames *frames, const struct frame *list, unsigned nb)
{
    struct xsk_frame sent[2 * SERVICE_BURST_MAX];

    if (nb == 0)
        return 0;
    list_of(sent, list, nb);
    unsigned nb_tx = xsk_forward(frames->xsk, sent, nb);
    frames->nb_tx_errors += nb_tx < nb;
    return nb_tx;
}

void frames_free(struct frames *frames, const struct frame *list, unsigned nb)
{
    struct xsk_frame freed[2 * SERVICE_BURST_MAX];

    list_of(freed, list, nb);
    xsk_free(frames->xsk, freed, nb);
}

bool frames_wait(struct frames *frames, uint64_t ns)
{
    xsk_wait(frames->xsk, ns);
    return true;
}

void frames_stats(const struct frames *frames, struct datapath_stats *stats)
{
    struct xsk_stats xsk;

    xsk_stats(frames->xsk, &xsk);
    stats->nb_syscalls = xsk.nb_syscalls;
    stats->nb_rx_errors = xsk.nb_bad;
    stats->nb_tx_errors = frames->nb_tx_errors;
}

void frames_close(struct frames *frames)
{
    xsk_close(frames->xsk);
    interface_close(&frames->interface);
}
