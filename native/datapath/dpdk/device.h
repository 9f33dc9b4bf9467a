/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's environment and one Ethernet port with one queue pair: what the server's datapath and the
 * generator's wire open alike. Which device it is, is said by the EAL arguments alone.
 */
#ifndef NEARMETAL_DPDK_DEVICE_H
#define NEARMETAL_DPDK_DEVICE_H

#include <stdint.h>

struct rte_mempool;

struct device {
    uint16_t port;
    struct rte_mempool *pool; /* buffers of one frame each */
    uint8_t mac[6];
};

struct device_config {
    const char *program;
    char *const *args; /* EAL arguments */
    int nb_args;
    uint16_t
        nb_descriptors;   /* of each ring; fewer or more where the device has bounds of its own */
    uint64_t rx_offloads; /* wanted: where the device can, and not on virtio */
};

/* NULL, or one sentence. Once a process: DPDK's environment starts only once. */
const char *device_open(struct device *device, const struct device_config *config);

/* All buffers are back. */
void device_close(struct device *device);

#endif
