/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The functions that DPDK's objects refer to, but that nothing in an image leads to: interrupts of
 * the device (the datapath polls), telemetry and tracing, arguments of devices, dumps of structs
 * into files, registers at ports. What DPDK registers at its start is accepted and never called.
 * Each other function ends the image with its own name in a line, so none can work by halves.
 */
#include <asm/errno.h>

#include "environment.h"

/* This file includes none of DPDK's headers: their prototypes would not fit. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

#define ABSENT(name)                                                                               \
    void name(void)                                                                                \
    {                                                                                              \
        environment_absent(#name);                                                                 \
    }

/* ---- accepted, without an effect ---- */

int rte_telemetry_register_cmd(void)
{
    return 0;
}

int __rte_trace_point_register(void)
{
    return 0;
}

/* ---- interrupts: refused, as rte_interrupts.h allows (ENOTSUP is the same number) ---- */

#define REFUSED(name)                                                                              \
    int name(void)                                                                                 \
    {                                                                                              \
        return -EOPNOTSUPP;                                                                        \
    }

REFUSED(rte_intr_ack)
REFUSED(rte_intr_callback_register)
REFUSED(rte_intr_callback_unregister)
REFUSED(rte_intr_disable)
REFUSED(rte_intr_efd_enable)
REFUSED(rte_intr_enable)
REFUSED(rte_intr_rx_ctl)
REFUSED(rte_intr_vec_list_alloc)
REFUSED(rte_intr_vec_list_index_get)
REFUSED(rte_intr_vec_list_index_set)
REFUSED(rte_intr_efds_index_get)

int rte_intr_cap_multiple(void)
{
    return 0;
}

void rte_intr_efd_disable(void)
{
}

void rte_intr_vec_list_free(void)
{
}

/* ---- telemetry's answers ---- */

ABSENT(rte_tel_data_add_array_int)
ABSENT(rte_tel_data_add_array_string)
ABSENT(rte_tel_data_add_array_u64)
ABSENT(rte_tel_data_add_dict_container)
ABSENT(rte_tel_data_add_dict_int)
ABSENT(rte_tel_data_add_dict_string)
ABSENT(rte_tel_data_add_dict_u64)
ABSENT(rte_tel_data_alloc)
ABSENT(rte_tel_data_free)
ABSENT(rte_tel_data_start_array)
ABSENT(rte_tel_data_start_dict)
ABSENT(rte_tel_data_string)
ABSENT(log10)

/* ---- trace points that are on ---- */

ABSENT(__rte_trace_mem_per_thread_alloc)
ABSENT(__rte_trace_point_emit_field)

/* ---- arguments of devices, and what parses them ---- */

ABSENT(rte_bus_find_by_name)
ABSENT(rte_class_find_by_name)
ABSENT(rte_devargs_parse)
ABSENT(rte_devargs_reset)
ABSENT(__ctype_b_loc)
ABSENT(__isoc99_sscanf)
ABSENT(strcspn)
ABSENT(strtol)
ABSENT(strtoul)

/* ---- files, and dumps into them ---- */

ABSENT(__fprintf_chk)
ABSENT(fclose)
ABSENT(fmemopen)
ABSENT(fwrite)
ABSENT(rte_dump_stack)
ABSENT(rte_hexdump)

/* ---- memory that is not the environment's ---- */

ABSENT(rte_mem_lock)
ABSENT(rte_mem_map)
ABSENT(rte_mem_unmap)

/* ---- devices before virtio 1 ---- */

ABSENT(rte_pci_ioport_read)
ABSENT(rte_pci_ioport_write)

ABSENT(rte_rand)
