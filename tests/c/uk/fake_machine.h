/* SPDX-License-Identifier: BSD-3-Clause */
/* A machine for tests of the `pc` form's libraries: configuration spaces in an array, one device's
 * registers in another; interrupts are only recorded. */
#ifndef NEARMETAL_TEST_FAKE_MACHINE_H
#define NEARMETAL_TEST_FAKE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_DEVICE_BYTES 0x4000u

/* The memory behind memory_device(): the offset is the address modulo the size. A mapping that
 * reaches past the end fails the test. */
extern uint8_t fake_device_memory[FAKE_DEVICE_BYTES];

void fake_pci_reset(void);

/* Return the configuration space of a new device with one 32-bit BAR; nb_bytes 0: no BAR. */
uint8_t *fake_pci_add(unsigned bus, unsigned slot, unsigned bar, uint32_t address,
                      uint32_t nb_bytes);

/* Add a virtio network device in a slot of bus 0, with the register layout of QEMU. */
#define FAKE_PCI_NETWORK 0x10411af4u
#define FAKE_PCI_ADDRESS 0xfe000000u
uint8_t *fake_pci_network(unsigned slot);

/* Write a vendor-specific capability of virtio. */
void fake_pci_capability(uint8_t *config, unsigned at, uint8_t next, uint8_t kind, uint32_t offset,
                         uint32_t nb_bytes);

void fake_put16(uint8_t *to, unsigned at, uint16_t value);
void fake_put32(uint8_t *to, unsigned at, uint32_t value);

uint32_t fake_device_offset(const volatile uint8_t *at);

/* Return the line of the last call of interrupts_line(). */
unsigned fake_line(void);

#endif
