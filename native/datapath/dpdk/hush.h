/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Output of DPDK during start-up. DPDK reports errors in many lines, and prints its usage on
 * stdout, which is reserved for our lines of JSON. If the start fails, the first error line becomes
 * part of our sentence: later ones are mostly its consequences.
 *
 * Implemented by hush.c for Linux, and by uk/lib/dpdk for an image.
 */
#ifndef NEARMETAL_DPDK_HUSH_H
#define NEARMETAL_DPDK_HUSH_H

#define HUSH_BYTES 300u

/* Linux's descriptors meanwhile. */
struct hush {
    int out, err, log;
};

/* From now on DPDK's output is kept, not printed. */
struct hush hush_begin(void);

/* Print again. `complaint`: the first line that was kept; empty: none. */
void hush_end(const struct hush *hush, char complaint[HUSH_BYTES]);

/* Show the user a line that DPDK reported, although it started. */
void hush_report(const char *program, const char *complaint);

#endif
