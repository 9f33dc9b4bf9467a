/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the guest is to be, from the kernel's command line. Each word of ours begins with `nm.`,
 * because the kernel takes a name with a dot for a module's and neither knows it nor hands it on; a
 * value with spaces stands in double quotes (the kernel's Documentation, kernel-parameters).
 *
 *     nm.address=10.0.0.100/24                  of the interface; without it the kernel gets none
 *     nm.driver=uio_pci_generic                 the NIC is this driver's, not the kernel's network
 *     nm.server="--listen 10.0.0.100:11211 ..." the server's words
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
    char *argv[CMDLINE_WORDS_MAX + 2]; /* [0] is the caller's; NULL at the end */
    char text[CMDLINE_BYTES_MAX];
};

/* NULL, or one sentence. The strings point into *cmdline. */
const char *cmdline_parse(struct cmdline *cmdline, const char *text);

#endif
