/* SPDX-License-Identifier: BSD-3-Clause */
/* pvclock: the clock that KVM writes for its guests (Linux, Documentation/virt/kvm/x86/msr.rst). */
#ifndef NEARMETAL_UK_PVCLOCK_H
#define NEARMETAL_UK_PVCLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* False: this hypervisor offers none. */
bool pvclock_open(void);

uint64_t pvclock_tsc_hz(void);

/* Unix time in ns. */
uint64_t pvclock_now_ns(void);

#endif
