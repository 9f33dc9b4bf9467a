/* SPDX-License-Identifier: BSD-3-Clause */
/* Parse the values of options. Each function returns NULL, or what is expected instead. */
#ifndef NEARMETAL_TG_OPTION_VALUES_H
#define NEARMETAL_TG_OPTION_VALUES_H

#include <stdint.h>

#include "port.h"

const char *value_number(const char *text, uint64_t low, uint64_t high, uint64_t *value);
const char *value_small(const char *text, uint32_t low, uint32_t high, uint32_t *value);
const char *value_real(const char *text, double low, double high, double *value);
const char *value_seconds(const char *text, double low, uint64_t *ns);
const char *value_ipv4(const char *text, uint8_t address[4]);

/* Parse six numbers of two hexadecimal digits, separated by colons. */
const char *value_target_mac(const char *text, struct port_frames_config *frames);

#endif
