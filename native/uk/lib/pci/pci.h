/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pci: finding a device on the buses, its registers in memory, its capabilities (PCI Local
 * Bus 3.0). What configuration space says is checked before use: a device may be anybody's.
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

/* offset is a multiple of 4. */
uint32_t pci_read(struct pci_device device, unsigned offset);
void pci_write(struct pci_device device, unsigned offset, uint32_t value);

/* The first device with one of the ids (device << 16 | vendor), bridges included in the search.
 * False: there is none. */
bool pci_find(struct pci_device *found, const uint32_t *ids, unsigned nb_ids);

/* Offset of the next capability with this id behind `after` (0: from the first on); 0: no more. */
unsigned pci_capability(struct pci_device device, uint8_t id, unsigned after);

/* A window of memory that a base address register opens. */
struct pci_bar {
    uint64_t address, nb_bytes; /* 0: not one of memory, or not placed by the firmware */
};

struct pci_bar pci_bar(struct pci_device device, unsigned number);

/* Answer to memory, and write to memory. */
void pci_enable(struct pci_device device);

/* The line on which the device interrupts, as the firmware noted it (6.2.4); false: it has none. */
bool pci_line(struct pci_device device, unsigned *line);

#endif
