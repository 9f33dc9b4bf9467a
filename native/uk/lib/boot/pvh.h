/* SPDX-License-Identifier: BSD-3-Clause */
/* pvh: the structures that a monitor hands over at the start (Xen,
 * xen/include/public/arch-x86/hvm/start_info.h). */
#ifndef NEARMETAL_UK_PVH_H
#define NEARMETAL_UK_PVH_H

#include <stddef.h>
#include <stdint.h>

#define PVH_MAGIC 0x336ec578u
#define PVH_MEMORY_USABLE 1u

struct pvh_start {
    uint32_t magic, version, flags, nb_modules;
    uint64_t modules, command_line, rsdp;
    uint64_t memory_map; /* since version 1 */
    uint32_t nb_memory_map, reserved;
};

struct pvh_memory {
    uint64_t address, nb_bytes;
    uint32_t type, reserved;
};

_Static_assert(offsetof(struct pvh_start, memory_map) == 40, "start_info.h");
_Static_assert(sizeof(struct pvh_start) == 56, "start_info.h");
_Static_assert(sizeof(struct pvh_memory) == 24, "start_info.h");

#endif
