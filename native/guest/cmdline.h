/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The settings of a guest, from the kernel's command line. The names begin with `nm.`: the kernel
 * takes a name with a dot for a module's parameter, so it does not use it or pass it to the
 * first process. A value with spaces is in double quotes (the kernel's Documentation,
 * kernel-parameters).
 *
 *     nm.address=10.0.0.100/24                  of the interface; without it the kernel sets none
 *     nm.driver=uio_pci_generic                 bind the NIC to this driver, away from the kernel
 *     nm.server="--listen 10.0.0.100:11211 ..." the server's arguments
 */
#ifndef NEARMETAL_CMDLINE_H
#define NEARMETAL_CMDLINE_H

#include <netinet/in.h>
#include <stdint.h>

#define CMDLINE_BYTES_MAX 2048u /* COMMAND_LINE_SIZE of x86 */
#define CMDLINE_WORDS_MAX 126u

struct cmdline {
    struct in_addr address; /* 0: none */
    unsigned prefix_bits;
    const char *driver;                /* NULL: none */
    char *argv[CMDLINE_WORDS_MAX + 2]; /* [0] is set by the caller; ends with NULL */
    char text[CMDLINE_BYTES_MAX];
};

/* Parse. Returns NULL, or one sentence. The strings point into *cmdline. */
const char *cmdline_parse(struct cmdline *cmdline, const char *text);

#endif
