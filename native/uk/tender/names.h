/* SPDX-License-Identifier: BSD-3-Clause */
/* names: check that the names written by a data process can be printed in a line of JSON. */
#ifndef NEARMETAL_UK_NAMES_H
#define NEARMETAL_UK_NAMES_H

#include <stdbool.h>

#include "control.h"

/* Whether all names are valid. Pass a copy: the data process can change the page at any time. */
bool names_are_sound(const char datapath[CONTROL_NAME_BYTES], const struct service_words *words);

/* Replace what cannot be printed in the names of files; of a copy, as above. */
void names_make_printable(struct service_fault faults[SERVICE_FAULTS_MAX]);

#endif
