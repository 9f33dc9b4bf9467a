/* SPDX-License-Identifier: BSD-3-Clause */
/* power: ends the machine, for the `pc` form. */
#ifndef NEARMETAL_UK_POWER_H
#define NEARMETAL_UK_POWER_H

_Noreturn void power_off(void);

#endif
