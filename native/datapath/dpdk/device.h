/* SPDX-License-Identifier: BSD-3-Clause */
/* DPDK's environment and one Ethernet port with one queue pair, opened alike by the server's
 * datapath and the generator's wire. The EAL arguments alone choose the device. */
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
    uint16_t nb_descriptors; /* of each ring; adjusted to the device's bounds */
    uint64_t rx_offloads;    /* used where the device has them, never on virtio */
};

/* Open. Returns NULL, or one sentence. Once per process: DPDK's environment starts only once. */
const char *device_open(struct device *device, const struct device_config *config);

/* Close; the caller has returned all buffers. */
void device_close(struct device *device);

#endif
