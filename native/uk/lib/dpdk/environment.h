/* SPDX-License-Identifier: BSD-3-Clause */
/* The environment below DPDK's libraries, where the files of this folder meet each other. */
#ifndef NEARMETAL_UK_DPDK_ENVIRONMENT_H
#define NEARMETAL_UK_DPDK_ENVIRONMENT_H

#include <stdarg.h>
#include <stddef.h>

/* End the image with a line: DPDK called a function that has no meaning here. */
_Noreturn void environment_absent(const char *function);

/* As the C library's vsnprintf, for the conversions that DPDK's messages and names have. */
int environment_print(char *to, size_t nb_bytes, const char *format, va_list values);

/* Find the virtio network device and let its driver open it. NULL, or one sentence. */
const char *environment_probe(void);

/* Zeroed memory, at its own address for devices too. Never NULL: without memory the image ends. */
void *environment_memory(size_t nb_bytes, size_t align);

#endif
