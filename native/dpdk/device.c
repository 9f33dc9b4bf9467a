/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#define BUFFERS_IN_CACHES 1024u /* of the pool's own cache, and of bursts under way */
#define CACHE_BUFFERS 256u

static char said[512];

/* The first complaint of what DPDK logged: later ones are mostly its consequences. */
static const char *complaint(char *log)
{
    char *text = log, *end;

    while (*text == '\n')
        text++;
    end = strchr(text, '\n');
    if (end != NULL)
        *end = '\0';
    return *text == '\0' ? rte_strerror(rte_errno) : text;
}

static const char *eal_failed(char *log)
{
    snprintf(said, sizeof(said),
             "DPDK does not start: %.300s; it wants free hugepages (or --no-huge) and the EAL "
             "arguments behind -- to be right",
             complaint(log));
    return said;
}

/*
 * Start the environment. Its messages go to memory meanwhile: where it fails they become one
 * sentence, where it does not nobody wants them.
 */
static const char *eal_start(const struct device_config *config)
{
    char **argv = calloc((size_t)config->nb_args + 3, sizeof(*argv));
    char *log = NULL;
    size_t log_bytes;
    FILE *stream = open_memstream(&log, &log_bytes);
    const char *why = NULL;
    int argc = 0;

    if (argv == NULL || stream == NULL)
        return "out of memory";
    /* The environment keeps the arguments, and may write to them: they stay allocated. */
    argv[argc++] = strdup(config->program);
    argv[argc++] = strdup("--log-level=error");
    for (int i = 0; i < config->nb_args; i++)
        argv[argc++] = strdup(config->args[i]);
    rte_openlog_stream(stream);
    if (rte_eal_init(argc, argv) < 0) {
        fflush(stream);
        why = eal_failed(log);
    }
    rte_openlog_stream(NULL);
    fclose(stream);
    free(log);
    return why;
}

static const char *failed(const char *what, int code)
{
    snprintf(said, sizeof(said), "the DPDK port cannot be used: %s: %s", what,
             rte_strerror(code < 0 ? -code : code));
    return said;
}

static const char *pool_open(struct device *device, uint32_t nb_buffers)
{
    int socket = rte_eth_dev_socket_id(device->port);

    device->pool = rte_pktmbuf_pool_create("nearmetal", nb_buffers, CACHE_BUFFERS, 0,
                                           RTE_MBUF_DEFAULT_BUF_SIZE, socket);
    if (device->pool != NULL)
        return NULL;
    snprintf(said, sizeof(said),
             "no memory for %u DPDK buffers: %s; more hugepages, or a larger -m, give it",
             nb_buffers, rte_strerror(rte_errno));
    return said;
}

/* One receive ring and one transmit ring, and buffers for both. */
static const char *port_start(struct device *device, const struct device_config *config)
{
    uint16_t nb_rx = config->nb_descriptors, nb_tx = config->nb_descriptors, port = device->port;
    struct rte_eth_conf conf = {0};
    struct rte_eth_dev_info info;
    struct rte_ether_addr mac;
    const char *why;
    int code = rte_eth_dev_info_get(port, &info);

    if (code != 0)
        return failed("its description", code);
    conf.rxmode.offloads = config->rx_offloads & info.rx_offload_capa;
    if ((code = rte_eth_dev_configure(port, 1, 1, &conf)) != 0)
        return failed("one queue pair", code);
    if ((code = rte_eth_dev_adjust_nb_rx_tx_desc(port, &nb_rx, &nb_tx)) != 0)
        return failed("the size of its rings", code);
    why = pool_open(device, config->nb_buffers != 0 ? config->nb_buffers
                                                    : (uint32_t)nb_rx + nb_tx + BUFFERS_IN_CACHES);
    if (why != NULL)
        return why;
    code = rte_eth_rx_queue_setup(port, 0, nb_rx, (unsigned)rte_eth_dev_socket_id(port), NULL,
                                  device->pool);
    if (code != 0)
        return failed("its receive ring", code);
    code = rte_eth_tx_queue_setup(port, 0, nb_tx, (unsigned)rte_eth_dev_socket_id(port), NULL);
    if (code != 0)
        return failed("its transmit ring", code);
    if ((code = rte_eth_dev_start(port)) != 0)
        return failed("starting it", code);
    if ((code = rte_eth_macaddr_get(port, &mac)) != 0)
        return failed("its address", code);
    memcpy(device->mac, mac.addr_bytes, sizeof(device->mac));
    return NULL;
}

const char *device_open(struct device *device, const struct device_config *config)
{
    const char *why = eal_start(config);
    uint16_t port;

    if (why != NULL)
        return why;
    *device = (struct device){.port = RTE_MAX_ETHPORTS};
    RTE_ETH_FOREACH_DEV(port)
    {
        if (device->port == RTE_MAX_ETHPORTS)
            device->port = port;
    }
    if (device->port != RTE_MAX_ETHPORTS)
        why = port_start(device, config);
    else
        why = "DPDK sees no port: name one behind --, as --vdev=net_af_packet0,iface=IFACE, or -a "
              "PCI_ADDRESS of a NIC bound to vfio-pci";
    if (why != NULL)
        device_close(device);
    return why;
}

void device_close(struct device *device)
{
    if (device->port != RTE_MAX_ETHPORTS) {
        (void)rte_eth_dev_stop(device->port); /* of one that never started: nothing */
        (void)rte_eth_dev_close(device->port);
    }
    rte_mempool_free(device->pool);
    (void)rte_eal_cleanup();
}
