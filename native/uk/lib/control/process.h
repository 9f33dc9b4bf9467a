/* SPDX-License-Identifier: BSD-3-Clause */
/* The control page, as the libraries of the `process` form see it. */
#ifndef NEARMETAL_UK_PROCESS_H
#define NEARMETAL_UK_PROCESS_H

#include "control.h"

/* Mapped by boot before image_main. */
struct control *process_control(void);

#endif
