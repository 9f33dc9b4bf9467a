/* SPDX-License-Identifier: BSD-3-Clause */
/* Of <stdio.h> lwIP names nothing that is built here, but 2.2 includes it. */
#ifndef NEARMETAL_LWIP_STDIO_H
#define NEARMETAL_LWIP_STDIO_H

#endif
