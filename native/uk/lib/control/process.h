/* SPDX-License-Identifier: BSD-3-Clause */
/* The control page, for the libraries of the `process` form. */
#ifndef NEARMETAL_UK_PROCESS_H
#define NEARMETAL_UK_PROCESS_H

#include "control.h"

/* Return the page, which boot maps before image_main. */
struct control *process_control(void);

#endif
