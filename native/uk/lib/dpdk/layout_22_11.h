/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Structs that DPDK's bus and its drivers share. The distribution's packages have no header for
 * them: they belong to DPDK's inside. Fields, order and types are those of DPDK 22.11
 * (lib/eal/include/dev_driver.h, drivers/bus/pci/bus_pci_driver.h), which do not change within that
 * release: its versions keep one binary interface (DPDK_23). Every other release is refused by the
 * build.
 */
#ifndef NEARMETAL_UK_DPDK_LAYOUT_22_11_H
#define NEARMETAL_UK_DPDK_LAYOUT_22_11_H

#include <stddef.h>
#include <sys/queue.h>

#include <rte_bus_pci.h>
#include <rte_dev.h>
#include <rte_tailq.h>

struct rte_driver {
    RTE_TAILQ_ENTRY(rte_driver) next;
    const char *name, *alias;
};

struct rte_device {
    RTE_TAILQ_ENTRY(rte_device) next;
    const char *name, *bus_info;
    const struct rte_driver *driver;
    const struct rte_bus *bus;
    int numa_node;
    struct rte_devargs *devargs;
};

/* enum rte_pci_kernel_driver: no driver of a kernel holds the device. */
#define LAYOUT_KDRV_NONE 5

struct rte_pci_device {
    RTE_TAILQ_ENTRY(rte_pci_device) next;
    struct rte_device device;
    struct rte_pci_addr addr;
    struct rte_pci_id id;
    struct rte_mem_resource mem_resource[PCI_MAX_RESOURCE];
    struct rte_intr_handle *intr_handle;
    struct rte_pci_driver *driver;
    uint16_t max_vfs;
    int kdrv;
    char name[PCI_PRI_STR_SIZE + 1];
    char *bus_info;
    struct rte_intr_handle *vfio_req_intr_handle;
};

struct rte_pci_driver {
    RTE_TAILQ_ENTRY(rte_pci_driver) next;
    struct rte_driver driver;
    int (*probe)(struct rte_pci_driver *driver, struct rte_pci_device *device);
    int (*remove)(struct rte_pci_device *device);
    void *dma_map, *dma_unmap;
    const struct rte_pci_id *id_table; /* ends with vendor 0 */
    uint32_t drv_flags;
};

_Static_assert(sizeof(struct rte_device) == 64, "22.11");
_Static_assert(sizeof(struct rte_pci_device) == 312, "22.11");
_Static_assert(offsetof(struct rte_pci_device, mem_resource) == 104, "22.11");
_Static_assert(offsetof(struct rte_pci_device, kdrv) == 268, "22.11");
_Static_assert(sizeof(struct rte_pci_driver) == 96, "22.11");
_Static_assert(offsetof(struct rte_pci_driver, id_table) == 80, "22.11");

#endif
