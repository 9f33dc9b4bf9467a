/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci: finds a device on the buses, its registers in memory, and its capabilities (PCI Local Bus
 * 3.0). Every value of configuration space is checked before use: the device is not trusted.
 *
 * pci_read and pci_write are the machine's (ports.c), or a test's.
 */
#ifndef NEARMETAL_UK_PCI_H
#define NEARMETAL_UK_PCI_H

#include <stdbool.h>
#include <stdint.h>

#define PCI_BARS 6u
#define PCI_CONFIG_BYTES 256u

struct pci_device {
    uint8_t bus, slot, function;
};

/* The offset is a multiple of 4. */
uint32_t pci_read(struct pci_device device, unsigned offset);
void pci_write(struct pci_device device, unsigned offset, uint32_t value);

/* Find the first device with one of the ids (device << 16 | vendor); the search descends into
 * bridges. False: there is none. */
bool pci_find(struct pci_device *found, const uint32_t *ids, unsigned nb_ids);

/* Return the offset of the next capability with this id behind `after` (0: from the first on). 0:
 * there are no more. */
unsigned pci_capability(struct pci_device device, uint8_t id, unsigned after);

/* A window of memory, as a base address register describes it. */
struct pci_bar {
    uint64_t address, nb_bytes; /* 0: not a memory window, or not placed by the firmware */
};

struct pci_bar pci_bar(struct pci_device device, unsigned number);

/* Let the device answer to memory accesses, and write to memory. */
void pci_enable(struct pci_device device);

/* Get the interrupt line that the firmware assigned to the device (6.2.4). False: it has none. */
bool pci_line(struct pci_device device, unsigned *line);

#endif
