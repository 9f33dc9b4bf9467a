/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Datapath `dpdk`: whole frames by DPDK's ethdev, in user space, polled, one queue on one lcore.
 *
 * The arguments behind `--` are EAL's: which device, which memory. A request's mbuf is sent as its
 * reply. Where the device verified a checksum, frames/ does not.
 */
#include "frames.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <string.h>
#include <time.h>

#include "device.h"
#include "fetch.h"

#define RING_FRAMES 1024u
#define SLEEP_NS 100000
/* The length reported for a frame of several segments, so that frames/ drops it. */
#define NO_FRAME_BYTES (FRAME_BYTES_MAX + 1u)

const char datapath_name[] = "dpdk";

struct frames {
    struct device device;
    uint64_t nb_tx_errors; /* bursts that were not taken whole */
};

_Static_assert(RTE_MBUF_DEFAULT_DATAROOM >= FRAME_BYTES_MAX, "a frame fits one mbuf");

const char *frames_open(struct frames **frames_out, const struct datapath_config *config)
{
    static struct frames frames;
    /* The pool is as large as all rings, bursts and caches together, so it is never empty. */
    struct device_config device = {.program = "nm-dpdk",
                                   .args = config->args,
                                   .nb_args = config->nb_args,
                                   .nb_descriptors = RING_FRAMES,
                                   .rx_offloads = RTE_ETH_RX_OFFLOAD_IPV4_CKSUM |
                                                  RTE_ETH_RX_OFFLOAD_UDP_CKSUM};

    *frames_out = &frames;
    return device_open(&frames.device, &device);
}

void frames_mac(const struct frames *frames, uint8_t mac[6])
{
    memcpy(mac, frames->device.mac, 6);
}

uint64_t frames_tsc_hz(const struct frames *frames)
{
    (void)frames;
    return rte_get_tsc_hz();
}

static inline uint32_t vouched_by(uint64_t flags)
{
    uint32_t ip = (flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    uint32_t udp = (flags & RTE_MBUF_F_RX_L4_CKSUM_MASK) == RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    return (ip ? FRAME_IP_GOOD : 0) | (udp ? FRAME_UDP_GOOD : 0);
}

unsigned frames_rx_burst(struct frames *frames, struct frame *out, unsigned nb)
{
    struct rte_mbuf *mbufs[SERVICE_BURST_MAX];
    unsigned nb_rx = rte_eth_rx_burst(frames->device.port, 0, mbufs, (uint16_t)nb);

    for (unsigned i = 0; i < nb_rx; i++) {
        struct rte_mbuf *mbuf = mbufs[i];
        uint8_t *data = rte_pktmbuf_mtod(mbuf, uint8_t *);
        fetch_to_write(data, FRAME_HEADERS_BYTES);
        out[i] = (struct frame){.data = data,
                                .len = mbuf->nb_segs == 1 ? mbuf->data_len : NO_FRAME_BYTES,
                                .vouched = vouched_by(mbuf->ol_flags),
                                .buffer = mbuf};
    }
    return nb_rx;
}

unsigned frames_ahead(struct frames *frames, struct frame *out, unsigned nb)
{
    (void)frames, (void)out, (void)nb; /* ethdev shows a frame only when it is received */
    return 0;
}

unsigned frames_alloc(struct frames *frames, struct frame *out, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++) {
        struct rte_mbuf *mbuf = rte_pktmbuf_alloc(frames->device.pool);
        if (mbuf == NULL)
            return i;
        out[i] = (struct frame){.data = rte_pktmbuf_mtod(mbuf, uint8_t *), .buffer = mbuf};
    }
    return nb;
}

unsigned frames_tx_burst(struct frames *frames, const struct frame *list, unsigned nb)
{
    struct rte_mbuf *mbufs[2 * SERVICE_BURST_MAX];

    for (unsigned i = 0; i < nb; i++) {
        struct rte_mbuf *mbuf = list[i].buffer;
        mbuf->data_len = (uint16_t)list[i].len;
        mbuf->pkt_len = list[i].len;
        mbufs[i] = mbuf;
    }
    unsigned nb_tx = nb > 0 ? rte_eth_tx_burst(frames->device.port, 0, mbufs, (uint16_t)nb) : 0;
    frames->nb_tx_errors += nb_tx < nb;
    return nb_tx;
}

void frames_free(struct frames *frames, const struct frame *list, unsigned nb)
{
    (void)frames;
    for (unsigned i = 0; i < nb; i++)
        rte_pktmbuf_free(list[i].buffer);
}

bool frames_wait(struct frames *frames, uint64_t ns)
{
    /* An arriving frame cannot end the sleep, so the sleep is short. */
    struct timespec time = {.tv_nsec = ns < SLEEP_NS ? (long)ns : SLEEP_NS};
    (void)frames;
    nanosleep(&time, NULL); /* a signal ends it early */
    return false;
}

void frames_stats(const struct frames *frames, struct datapath_stats *stats)
{
    struct rte_eth_stats port = {0};
    (void)rte_eth_stats_get(frames->device.port, &port);
    stats->nb_rx_errors = port.ierrors + port.imissed + port.rx_nombuf;
    stats->nb_tx_errors = frames->nb_tx_errors;
}

void frames_close(struct frames *frames)
{
    device_close(&frames->device);
}
