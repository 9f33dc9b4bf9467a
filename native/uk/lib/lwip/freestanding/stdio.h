/* SPDX-License-Identifier: BSD-3-Clause */
/* lwIP 2.2 includes <stdio.h>, but the parts that are built here use nothing of it. */
#ifndef NEARMETAL_LWIP_STDIO_H
#define NEARMETAL_LWIP_STDIO_H

#endif
