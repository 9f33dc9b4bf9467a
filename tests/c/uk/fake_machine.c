/* SPDX-License-Identifier: BSD-3-Clause */
/* A machine for tests: see fake_machine.h. */
#include "fake_machine.h"

#include <string.h>

#include "../check.h"
#include "interrupts.h"
#include "memory.h"
#include "pci.h"

#define DEVICES_MAX 4u
#define COMMAND 0x04u
#define BAR 0x10u

struct fake_device {
    unsigned bus, slot, bar;
    uint32_t nb_bytes;
    uint8_t config[PCI_CONFIG_BYTES];
};

uint8_t fake_device_memory[FAKE_DEVICE_BYTES] __attribute__((aligned(4096)));
static struct fake_device devices[DEVICES_MAX];
static unsigned nb_devices, line_given;

void fake_pci_reset(void)
{
    nb_devices = line_given = 0;
    memset(fake_device_memory, 0, sizeof(fake_device_memory));
}

void fake_put16(uint8_t *to, unsigned at, uint16_t value)
{
    memcpy(to + at, &value, sizeof(value));
}

void fake_put32(uint8_t *to, unsigned at, uint32_t value)
{
    memcpy(to + at, &value, sizeof(value));
}

uint8_t *fake_pci_add(unsigned bus, unsigned slot, unsigned bar, uint32_t address,
                      uint32_t nb_bytes)
{
    struct fake_device *device = &devices[nb_devices++];

    CHECK(nb_devices <= DEVICES_MAX);
    *device = (struct fake_device){.bus = bus, .slot = slot, .bar = bar, .nb_bytes = nb_bytes};
    if (nb_bytes > 0)
        fake_put32(device->config, BAR + 4 * bar, address);
    return device->config;
}

void fake_pci_capability(uint8_t *config, unsigned at, uint8_t next, uint8_t kind, uint32_t offset,
                         uint32_t nb_bytes)
{
    config[at] = 0x09;
    config[at + 1] = next;
    config[at + 2] = 16;
    config[at + 3] = kind;
    fake_put32(config, at + 4, 4); /* the BAR */
    fake_put32(config, at + 8, offset);
    fake_put32(config, at + 12, nb_bytes);
}

uint8_t *fake_pci_network(unsigned slot)
{
    uint8_t *config = fake_pci_add(0, slot, 4, FAKE_PCI_ADDRESS, FAKE_DEVICE_BYTES);

    fake_put32(config, 0x00, FAKE_PCI_NETWORK);
    config[0x06] = 0x10; /* capabilities */
    config[0x34] = 0x84;
    fake_pci_capability(config, 0x84, 0x98, 1, 0x0000, 0x1000);
    fake_pci_capability(config, 0x98, 0xac, 3, 0x1000, 0x1000);
    fake_pci_capability(config, 0xac, 0xc0, 4, 0x2000, 0x1000);
    fake_pci_capability(config, 0xc0, 0x00, 2, 0x3000, 0x1000);
    config[0xc0 + 2] = 20;
    fake_put32(config, 0xc0 + 16, 4);
    fake_put32(config, 0x3c, 0x010b); /* pin A, line 11 */
    return config;
}

uint32_t fake_device_offset(const volatile uint8_t *at)
{
    return (uint32_t)(at - fake_device_memory);
}

unsigned fake_line(void)
{
    return line_given;
}

/* ---- functions that the libraries under test call ---- */

static struct fake_device *device_at(struct pci_device at)
{
    for (unsigned i = 0; i < nb_devices; i++) {
        if (devices[i].bus == at.bus && devices[i].slot == at.slot && at.function == 0)
            return &devices[i];
    }
    return NULL;
}

uint32_t pci_read(struct pci_device at, unsigned offset)
{
    const struct fake_device *device = device_at(at);
    uint32_t value;

    CHECK(offset % 4 == 0 && offset < PCI_CONFIG_BYTES);
    if (device == NULL)
        return UINT32_MAX;
    memcpy(&value, device->config + offset, sizeof(value));
    return value;
}

/* A BAR keeps its low bits and those below its size; a command keeps its upper half. */
void pci_write(struct pci_device at, unsigned offset, uint32_t value)
{
    struct fake_device *device = device_at(at);

    CHECK(offset % 4 == 0 && offset < PCI_CONFIG_BYTES);
    if (device == NULL)
        return;
    if (offset >= BAR && offset < BAR + 4 * PCI_BARS) {
        bool is_there = offset == BAR + 4 * device->bar && device->nb_bytes > 0;
        uint32_t flags = is_there ? device->config[offset] & 0xfu : 0;
        value = is_there ? (value & ~(device->nb_bytes - 1)) | flags : 0;
    }
    if (offset == COMMAND)
        fake_put16(device->config, offset, (uint16_t)value);
    else
        fake_put32(device->config, offset, value);
}

void *memory_device(uint64_t address, uint64_t nb_bytes)
{
    uint64_t offset = address % FAKE_DEVICE_BYTES;

    CHECK(offset + nb_bytes <= FAKE_DEVICE_BYTES);
    return fake_device_memory + offset;
}

void interrupts_line(unsigned line, enum interrupt_kind kind, enum interrupt vector,
                     void (*handler)(void))
{
    (void)kind;
    CHECK(vector == INTERRUPT_NETWORK && handler != NULL);
    line_given = line;
    handler();
}
