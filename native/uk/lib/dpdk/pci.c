/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * DPDK's PCI bus, for one driver and its one device: on PCI's buses as our library finds them
 * (lib/pci). Linux's bus (drivers/bus/pci/linux) reads files of sysfs instead.
 */
#include <stdio.h>
#include <string.h>

#include "layout_22_11.h"

#include "console.h"
#include "environment.h"
#include "memory.h"
#include "pci.h"
#include "transport_pc.h"

#define DEVICES_MAX 8u /* of a driver's table */
/* Reads of configuration space in all: the driver's walk of the capabilities has no bound. */
#define READS_MAX 4096u

static struct rte_pci_driver *driver;
static struct pci_device place;
static unsigned nb_reads;

/* ---- for drivers: drivers/bus/pci/bus_pci_driver.h, rte_bus_pci.h ---- */

void rte_pci_register(struct rte_pci_driver *its);

/* Called by the driver's constructor. */
void rte_pci_register(struct rte_pci_driver *its)
{
    driver = its;
}

int rte_pci_map_device(struct rte_pci_device *device)
{
    for (unsigned i = 0; i < PCI_MAX_RESOURCE; i++) {
        struct pci_bar bar = pci_bar(place, i);
        if (bar.nb_bytes == 0)
            continue;
        device->mem_resource[i] =
            (struct rte_mem_resource){.phys_addr = bar.address,
                                      .len = bar.nb_bytes,
                                      .addr = memory_device(bar.address, bar.nb_bytes)};
    }
    return 0;
}

void rte_pci_unmap_device(struct rte_pci_device *device)
{
    (void)device; /* the registers stay mapped until the image ends */
}

int rte_pci_read_config(const struct rte_pci_device *device, void *to, size_t nb_bytes,
                        off_t offset)
{
    uint8_t *out = to;

    (void)device;
    if (offset < 0 || (size_t)offset > PCI_CONFIG_BYTES ||
        PCI_CONFIG_BYTES - offset < (off_t)nb_bytes)
        return -1;
    if (nb_reads++ == READS_MAX)
        console_fail("the network device's list of PCI capabilities does not end");
    for (size_t i = 0; i < nb_bytes; i++) {
        unsigned at = (unsigned)offset + (unsigned)i;
        out[i] = (uint8_t)(pci_read(place, at & ~3u) >> 8 * (at & 3));
    }
    return (int)nb_bytes;
}

/* Registers at ports belong to legacy devices (before virtio 1), which images do not drive. */
int rte_pci_ioport_map(struct rte_pci_device *device, int bar, struct rte_pci_ioport *port)
{
    (void)device, (void)bar, (void)port;
    return -1;
}

int rte_pci_ioport_unmap(struct rte_pci_ioport *port)
{
    (void)port;
    return -1;
}

/* ---- for us ---- */

static unsigned ids_of(const struct rte_pci_driver *its, uint32_t ids[DEVICES_MAX])
{
    unsigned nb = 0;

    for (const struct rte_pci_id *id = its->id_table; id->vendor_id != 0 && nb < DEVICES_MAX; id++)
        ids[nb++] = (uint32_t)id->device_id << 16 | id->vendor_id;
    return nb;
}

const char *environment_probe(void)
{
    static struct rte_pci_device device;
    uint32_t ids[DEVICES_MAX];

    if (driver == NULL)
        return "the image has no DPDK driver";
    if (!pci_find(&place, ids, ids_of(driver, ids)))
        return "the machine has no virtio network device on a PCI bus, where DPDK's driver looks "
               "for it (QEMU: -machine q35, -device virtio-net-pci)";
    uint32_t id = pci_read(place, 0);
    device.addr =
        (struct rte_pci_addr){.bus = place.bus, .devid = place.slot, .function = place.function};
    device.id = (struct rte_pci_id){.class_id = pci_read(place, 8) >> 8,
                                    .vendor_id = (uint16_t)id,
                                    .device_id = (uint16_t)(id >> 16)};
    snprintf(device.name, sizeof(device.name), PCI_PRI_FMT, device.addr.domain, device.addr.bus,
             device.addr.devid, device.addr.function);
    device.kdrv = LAYOUT_KDRV_NONE;
    device.device.name = device.name;
    device.driver = driver;
    device.device.driver = &driver->driver;
    pci_enable(place);
    return driver->probe(driver, &device) == 0
               ? NULL
               : "DPDK's driver does not open the network device: it has no registers of virtio "
                 "version 1 (disable-modern=off), or the firmware has not placed them";
}

/* In place of lib/transport's: boot prints it. */
const char *transport_name(void)
{
    return "pci";
}
