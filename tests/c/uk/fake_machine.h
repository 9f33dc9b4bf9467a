/* SPDX-License-Identifier: BSD-3-Clause */
/* A machine for tests of the `pc` form's libraries: configuration spaces in an array, one device's
 * registers in another, interrupts that are only noted. */
#ifndef NEARMETAL_TEST_FAKE_MACHINE_H
#define NEARMETAL_TEST_FAKE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#define FAKE_DEVICE_BYTES 0x4000u

/* What memory_device() gives: the address's place in it is the address modulo its size. A mapping
 * that would reach beyond it fails the test. */
extern uint8_t fake_device_memory[FAKE_DEVICE_BYTES];

void fake_pci_reset(void);

/* The configuration space of a new device with one 32-bit BAR; nb_bytes 0: none. */
uint8_t *fake_pci_add(unsigned bus, unsigned slot, unsigned bar, uint32_t address,
                      uint32_t nb_bytes);

/* A network device of virtio's in a slot of bus 0, its registers where QEMU has them. */
#define FAKE_PCI_NETWORK 0x10411af4u
#define FAKE_PCI_ADDRESS 0xfe000000u
uint8_t *fake_pci_network(unsigned slot);

/* A vendor-specific capability of virtio's. */
void fake_pci_capability(uint8_t *config, unsigned at, uint8_t next, uint8_t kind, uint32_t offset,
                         uint32_t nb_bytes);

void fake_put16(uint8_t *to, unsigned at, uint16_t value);
void fake_put32(uint8_t *to, unsigned at, uint32_t value);

uint32_t fake_device_offset(const volatile uint8_t *at);

/* The line that interrupts_line() was last given. */
unsigned fake_line(void);

#endif
