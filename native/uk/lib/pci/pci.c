/* SPDX-License-Identifier: BSD-3-Clause */
/* pci: see pci.h. Sections are of PCI Local Bus 3.0. */
#include "pci.h"

#define SLOTS 32u
#define FUNCTIONS 8u
#define BUSES_MAX 64u /* limit of the search: bridges may form a loop */

#define COMMAND 0x04u
#define COMMAND_MEMORY 0x0002u
#define COMMAND_MASTER 0x0004u
#define COMMAND_NO_LINE 0x0400u
#define COMMAND_LOW 0x0000ffffu /* above it: status, where writing a one clears */
#define STATUS_CAPABILITIES (0x10u << 16)
#define HEADER 0x0cu /* the header type is its third byte */
#define HEADER_MANY 0x80u
#define HEADER_TYPE 0x7fu
#define HEADER_BRIDGE 1u
#define BRIDGE_BUSES 0x18u
#define BAR 0x10u
#define BAR_IO 0x1u
#define BAR_TYPE 0x6u
#define BAR_64 0x4u
#define BAR_FLAGS 0xfu
#define CAPABILITIES 0x34u
#define CAPABILITIES_FIRST 0x40u
#define CAPABILITIES_MAX ((PCI_CONFIG_BYTES - CAPABILITIES_FIRST) / 4)
#define INTERRUPT 0x3cu /* line; above it the pin, 0: none */
#define LINES 16u       /* of a PC */

struct search {
    const uint32_t *ids;
    unsigned nb_ids;
    uint8_t buses[BUSES_MAX]; /* still to be searched */
    unsigned nb_buses;
};

static void note_bridge(struct search *search, struct pci_device device)
{
    uint8_t behind = (uint8_t)(pci_read(device, BRIDGE_BUSES) >> 8);

    for (unsigned i = 0; i < search->nb_buses; i++) {
        if (search->buses[i] == behind)
            return; /* this also ends the search at bus 0, which a bridge without a set-up names */
    }
    if (search->nb_buses < BUSES_MAX)
        search->buses[search->nb_buses++] = behind;
}

static bool is_wanted(struct search *search, struct pci_device device, uint32_t id)
{
    for (unsigned i = 0; i < search->nb_ids; i++) {
        if (search->ids[i] == id)
            return true;
    }
    if ((pci_read(device, HEADER) >> 16 & HEADER_TYPE) == HEADER_BRIDGE)
        note_bridge(search, device);
    return false;
}

static bool find_in_slot(struct search *search, struct pci_device *at)
{
    unsigned nb = 1;

    for (unsigned i = 0; i < nb; i++) {
        at->function = (uint8_t)i;
        uint32_t id = pci_read(*at, 0);
        if (id == UINT32_MAX)
            continue;
        if (is_wanted(search, *at, id))
            return true;
        if (i == 0 && pci_read(*at, HEADER) >> 16 & HEADER_MANY)
            nb = FUNCTIONS;
    }
    return false;
}

bool pci_find(struct pci_device *found, const uint32_t *ids, unsigned nb_ids)
{
    struct search search = {.ids = ids, .nb_ids = nb_ids, .nb_buses = 1};

    for (unsigned i = 0; i < search.nb_buses; i++) {
        found->bus = search.buses[i];
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            found->slot = (uint8_t)slot;
            if (find_in_slot(&search, found))
                return true;
        }
    }
    return false;
}

/* The list is bounded: it may be a loop, or lead into the header (6.7). */
unsigned pci_capability(struct pci_device device, uint8_t id, unsigned after)
{
    unsigned at;

    if (!(pci_read(device, COMMAND) & STATUS_CAPABILITIES))
        return 0;
    at = pci_read(device, CAPABILITIES) & 0xfc;
    bool is_behind = after == 0;
    for (unsigned i = 0; i < CAPABILITIES_MAX && at >= CAPABILITIES_FIRST; i++) {
        uint32_t word = pci_read(device, at);
        if (is_behind && (word & 0xff) == id)
            return at;
        is_behind |= at == after;
        at = word >> 8 & 0xfc;
    }
    return 0;
}

/* Write all ones; the bits that stay 0 give the window's size (6.2.5.1). The device must not answer
 * to memory meanwhile. */
struct pci_bar pci_bar(struct pci_device device, unsigned number)
{
    unsigned at = BAR + 4 * number;
    uint64_t high = 0, size = UINT64_MAX << 32;

    if (number >= PCI_BARS)
        return (struct pci_bar){0};
    uint32_t command = pci_read(device, COMMAND) & COMMAND_LOW, low = pci_read(device, at);
    bool is_64 = (low & BAR_TYPE) == BAR_64;
    if (low & BAR_IO || (is_64 && number + 1 == PCI_BARS))
        return (struct pci_bar){0};
    pci_write(device, COMMAND, command & ~COMMAND_MEMORY);
    pci_write(device, at, UINT32_MAX);
    size |= pci_read(device, at) & ~BAR_FLAGS;
    pci_write(device, at, low);
    if (is_64) {
        high = pci_read(device, at + 4);
        pci_write(device, at + 4, UINT32_MAX);
        size = (size & UINT32_MAX) | (uint64_t)pci_read(device, at + 4) << 32;
        pci_write(device, at + 4, (uint32_t)high);
    }
    pci_write(device, COMMAND, command);
    uint64_t address = high << 32 | (low & ~BAR_FLAGS), nb_bytes = ~size + 1;
    if (address == 0 || nb_bytes == 0 || (nb_bytes & (nb_bytes - 1)) != 0 ||
        address % nb_bytes != 0)
        return (struct pci_bar){0};
    return (struct pci_bar){address, nb_bytes};
}

void pci_enable(struct pci_device device)
{
    uint32_t command = pci_read(device, COMMAND) & COMMAND_LOW;

    command &= ~COMMAND_NO_LINE;
    pci_write(device, COMMAND, command | COMMAND_MEMORY | COMMAND_MASTER);
}

bool pci_line(struct pci_device device, unsigned *line)
{
    uint32_t word = pci_read(device, INTERRUPT);

    *line = word & 0xff;
    return (word >> 8 & 0xff) != 0 && *line > 0 && *line < LINES;
}
