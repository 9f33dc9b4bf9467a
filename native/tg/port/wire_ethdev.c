/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generator's wire over a DPDK Ethernet device: a veth (net_af_packet, net_af_xdp), a
 * virtio-user port, a NIC. Each frame lies in one DPDK mbuf.
 *
 * A transmit ring is known to be full only when it refuses a frame. Refused frames are kept and
 * offered again; until they are sent, no room is lent, so nothing is lost here.
 */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "device.h"

#define BURST 64u
#define NB_DESCRIPTORS 1024u
#define LINK_LOOKS 1000u /* every 10 ms: a NIC needs seconds for its link */
#define LOOK_US 10000u

const char wire_name[] = "ethdev";
const bool wire_unfinished = false; /* also on a veth: its other end must compute them */

struct wire {
    struct device device;
    struct wire_stats stats;
    unsigned nb_lent, nb_received;
    unsigned pending, nb_pending; /* of `sent`: [pending, nb_pending) were refused */
    struct rte_mbuf *lent[BURST], *sent[BURST], *received[BURST];
};

static bool link_up(const struct wire *wire)
{
    struct rte_eth_link link;

    return rte_eth_link_get_nowait(wire->device.port, &link) == 0 &&
           link.link_status == RTE_ETH_LINK_UP;
}

static bool link_wait(const struct wire *wire)
{
    for (unsigned look = 0; look < LINK_LOOKS; look++) {
        if (link_up(wire))
            return true;
        rte_delay_us_sleep(LOOK_US);
    }
    return false;
}

const char *wire_check(const struct wire_config *config)
{
    if (config->socket_path != NULL || config->connect)
        return "--socket and --connect are options of nm-load-vhost";
    if (config->iface != NULL)
        return "--iface is an option of nm-load-xdp; give the EAL arguments a port";
    return config->nb_args > 0 ? NULL
                               : "the EAL arguments are missing; for example -- --no-pci "
                                 "--vdev=net_af_packet0,iface=IFACE";
}

const char *wire_open(struct wire **out, const struct wire_config *config)
{
    struct device_config device = {.program = "nm-load-ethdev",
                                   .args = config->args,
                                   .nb_args = config->nb_args,
                                   .nb_descriptors = NB_DESCRIPTORS};
    struct wire *wire = calloc(1, sizeof(*wire));
    const char *why;

    if (wire == NULL)
        return "out of memory";
    why = device_open(&wire->device, &device);
    if (why != NULL) {
        free(wire);
        return why;
    }
    if (!link_wait(wire)) {
        wire_close(wire);
        return "the link of the DPDK port stays down for 10 s: is its other end connected and up?";
    }
    *out = wire;
    return NULL;
}

void wire_mac(const struct wire *wire, uint8_t mac[6])
{
    memcpy(mac, wire->device.mac, 6);
}

const char *wire_words(const struct wire *wire)
{
    (void)wire;
    return "";
}

bool wire_up(struct wire *wire)
{
    return link_up(wire);
}

/* Offer refused frames again. True: all are sent. */
static bool pending_send(struct wire *wire)
{
    unsigned nb;

    if (wire->pending == wire->nb_pending)
        return true;
    nb = rte_eth_tx_burst(wire->device.port, 0, wire->sent + wire->pending,
                          (uint16_t)(wire->nb_pending - wire->pending));
    wire->stats.nb_tx += nb;
    wire->pending += nb;
    return wire->pending == wire->nb_pending;
}

unsigned wire_lend(struct wire *wire, struct wire_frame *rooms, unsigned nb)
{
    nb = nb < BURST ? nb : BURST;
    if (!pending_send(wire))
        return 0;
    if (nb > wire->nb_lent && rte_pktmbuf_alloc_bulk(wire->device.pool, wire->lent + wire->nb_lent,
                                                     nb - wire->nb_lent) == 0)
        wire->nb_lent = nb;
    nb = nb < wire->nb_lent ? nb : wire->nb_lent;
    for (unsigned i = 0; i < nb; i++)
        rooms[i] =
            (struct wire_frame){rte_pktmbuf_mtod(wire->lent[i], uint8_t *), WIRE_FRAME_BYTES_MAX};
    return nb;
}

void wire_send(struct wire *wire, const struct wire_frame *frames, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++) {
        wire->sent[i] = wire->lent[i];
        wire->sent[i]->data_len = (uint16_t)frames[i].len;
        wire->sent[i]->pkt_len = frames[i].len;
    }
    wire->nb_lent -= nb;
    memmove(wire->lent, wire->lent + nb, wire->nb_lent * sizeof(wire->lent[0]));
    wire->pending = 0;
    wire->nb_pending = nb;
    (void)pending_send(wire);
}

unsigned wire_receive(struct wire *wire, struct wire_frame *frames, unsigned nb)
{
    struct rte_mbuf *came[BURST];
    unsigned room = BURST - wire->nb_received, got, good = 0;

    (void)pending_send(wire);
    got = rte_eth_rx_burst(wire->device.port, 0, came, (uint16_t)(nb < room ? nb : room));
    for (unsigned i = 0; i < got; i++) {
        if (came[i]->nb_segs != 1) { /* longer than any frame of a right reply */
            wire->stats.nb_bad++;
            rte_pktmbuf_free(came[i]);
            continue;
        }
        wire->received[wire->nb_received++] = came[i];
        frames[good++] =
            (struct wire_frame){rte_pktmbuf_mtod(came[i], uint8_t *), came[i]->data_len};
        __builtin_prefetch(frames[good - 1].data);
        __builtin_prefetch(frames[good - 1].data + frames[good - 1].len - 1);
    }
    wire->stats.nb_rx += good;
    return good;
}

void wire_ahead(struct wire *wire, unsigned nb)
{
    (void)wire, (void)nb;
}

void wire_return(struct wire *wire)
{
    if (wire->nb_received > 0)
        rte_pktmbuf_free_bulk(wire->received, wire->nb_received);
    wire->nb_received = 0;
}

void wire_stats(const struct wire *wire, struct wire_stats *stats)
{
    *stats = wire->stats;
}

void wire_close(struct wire *wire)
{
    wire_return(wire);
    if (wire->nb_lent > 0)
        rte_pktmbuf_free_bulk(wire->lent, wire->nb_lent);
    if (wire->nb_pending > wire->pending)
        rte_pktmbuf_free_bulk(wire->sent + wire->pending, wire->nb_pending - wire->pending);
    device_close(&wire->device);
    free(wire);
}
