/* SPDX-License-Identifier: BSD-3-Clause */
/* pci: access to configuration space by two ports (PCI Local Bus 3.0, 3.2.2.3.2). */
#include "pci.h"

#include "x86.h"

#define ADDRESS 0xcf8u
#define DATA 0xcfcu
#define ENABLE (1u << 31)

static void select_register(struct pci_device device, unsigned offset)
{
    x86_out32(ADDRESS, ENABLE | (uint32_t)device.bus << 16 | (uint32_t)device.slot << 11 |
                           (uint32_t)device.function << 8 | (offset & 0xfc));
}

uint32_t pci_read(struct pci_device device, unsigned offset)
{
    select_register(device, offset);
    return x86_in32(DATA);
}

void pci_write(struct pci_device device, unsigned offset, uint32_t value)
{
    select_register(device, offset);
    x86_out32(DATA, value);
}
