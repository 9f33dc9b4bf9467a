/* SPDX-License-Identifier: BSD-3-Clause */
/* Names that come from a data process: may they stand in a line of JSON? */
#ifndef NEARMETAL_UK_NAMES_H
#define NEARMETAL_UK_NAMES_H

#include <stdbool.h>

#include "control.h"

/* Of a copy: the data process could change what still lies in the page. */
bool names_are_sound(const char datapath[CONTROL_NAME_BYTES], const struct service_words *words);

#endif
