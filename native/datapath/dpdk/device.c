/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include "hush.h"

#define BUFFERS_IN_CACHES 1024u /* of the pool's own cache, and of bursts in progress */
#define CACHE_BUFFERS 256u
/*
 * virtio puts a header of 12 bytes right before the frame. By default the frame begins a cache
 * line, so that the header is on the line before. Shifted by these bytes, the header shares a line
 * with the frame's first 48 bytes: one line less to transfer from the other side's core, per frame
 * and direction.
 */
#define VIRTIO_SHIFT_BYTES 16u

static const char *eal_start(const struct device_config *config)
{
    /* DPDK may write to its arguments. */
    static char program[32], quiet[] = "--log-level=error";
    /* One file for all memory: a vhost-user back end accepts at most eight, and virtio_user fails
     * without a message beyond that. */
    static char one_file[] = "--single-file-segments";
    char **argv = calloc((size_t)config->nb_args + 4, sizeof(*argv));
    int argc = 0, nb_parsed;

    if (argv == NULL)
        return "out of memory";
    snprintf(program, sizeof(program), "%s", config->program);
    argv[argc++] = program;
    argv[argc++] = quiet;
    argv[argc++] = one_file;
    for (int i = 0; i < config->nb_args; i++)
        argv[argc++] = config->args[i];
    nb_parsed = rte_eal_init(argc, argv);
    free(argv);
    return nb_parsed >= 0
               ? NULL
               : "DPDK does not start; it needs free hugepages (or --no-huge), and valid "
                 "EAL arguments behind --";
}

static const char *port_find(struct device *device)
{
    unsigned nb_ports = rte_eth_dev_count_avail();

    if (nb_ports == 1) {
        device->port = (uint16_t)rte_eth_find_next(0);
        return NULL;
    }
    return nb_ports == 0 ? "DPDK sees no port: name one behind --, such as "
                           "--vdev=net_af_packet0,iface=IFACE, or -a PCI_ADDRESS of a NIC"
                         : "DPDK sees several ports: name the one to use behind --, such as "
                           "-a PCI_ADDRESS, or add --no-pci";
}

/* Set up one receive ring, one transmit ring, and buffers for both. */
static const char *port_start(struct device *device, const struct device_config *config)
{
    uint16_t nb_rx = config->nb_descriptors, nb_tx = config->nb_descriptors, port = device->port;
    int socket = rte_eth_dev_socket_id(port);
    unsigned rings_at = socket < 0 ? rte_socket_id() : (unsigned)socket;
    struct rte_eth_conf conf = {0};
    struct rte_eth_dev_info info;
    struct rte_ether_addr mac;
    bool is_virtio;

    if (rte_eth_dev_info_get(port, &info) != 0 || rte_eth_macaddr_get(port, &mac) != 0)
        return "the DPDK port gives no information on its device";
    memcpy(device->mac, mac.addr_bytes, sizeof(device->mac));
    is_virtio = strncmp(info.driver_name, "net_virtio", strlen("net_virtio")) == 0;
    /* On virtio any receive offload would disable the fast paths. */
    conf.rxmode.offloads = is_virtio ? 0 : config->rx_offloads & info.rx_offload_capa;
    /* Allowed because all buffers are from one pool, with a reference count of 1. */
    conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
    if (rte_eth_dev_configure(port, 1, 1, &conf) != 0 ||
        rte_eth_dev_adjust_nb_rx_tx_desc(port, &nb_rx, &nb_tx) != 0)
        return "the DPDK port does not accept one queue pair";
    device->pool = rte_pktmbuf_pool_create("nearmetal", (unsigned)nb_rx + nb_tx + BUFFERS_IN_CACHES,
                                           CACHE_BUFFERS, is_virtio ? VIRTIO_SHIFT_BYTES : 0,
                                           RTE_MBUF_DEFAULT_BUF_SIZE, socket);
    if (device->pool == NULL)
        return "DPDK has too little memory for its buffers: reserve more hugepages, or give a "
               "larger -m";
    if (rte_eth_rx_queue_setup(port, 0, nb_rx, rings_at, NULL, device->pool) != 0 ||
        rte_eth_tx_queue_setup(port, 0, nb_tx, rings_at, NULL) != 0)
        return "the DPDK port does not accept its rings";
    return rte_eth_dev_start(port) == 0 ? NULL : "the DPDK port does not start";
}

const char *device_open(struct device *device, const struct device_config *config)
{
    static char said[640];
    char complaint[HUSH_BYTES];
    struct hush hush = hush_begin();
    const char *why;
    bool started;

    why = eal_start(config);
    started = why == NULL;

    *device = (struct device){.port = RTE_MAX_ETHPORTS};
    if (why == NULL)
        why = port_find(device);
    if (why == NULL)
        why = port_start(device, config);
    if (why != NULL && started)
        device_close(device);
    /* After the start, a driver whose peer has ended would log it at every poll. */
    rte_log_set_global_level(RTE_LOG_CRIT);
    hush_end(&hush, complaint);
    if (complaint[0] == '\0')
        return why;
    if (why == NULL) { /* some drivers report a problem and continue */
        hush_report(config->program, complaint);
        return NULL;
    }
    snprintf(said, sizeof(said), "%s (%s)", why, complaint);
    return said;
}

void device_close(struct device *device)
{
    if (device->port != RTE_MAX_ETHPORTS) {
        (void)rte_eth_dev_stop(device->port); /* does nothing for a port that never started */
        (void)rte_eth_dev_close(device->port);
    }
    rte_mempool_free(device->pool);
    (void)rte_eal_cleanup();
}
