/* SPDX-License-Identifier: BSD-3-Clause */
/* hush, on Linux: stderr goes to memory and stdout is discarded; see hush.h. */
#include "hush.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct hush hush_begin(void)
{
    struct hush hush = {.out = dup(STDOUT_FILENO),
                        .err = dup(STDERR_FILENO),
                        .log = memfd_create("dpdk-log", MFD_CLOEXEC)};
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);

    /* virtio-user writes to a socket whose peer may have ended: only an error, without a signal. */
    signal(SIGPIPE, SIG_IGN);
    fflush(stdout);
    dup2(nowhere, STDOUT_FILENO);
    dup2(hush.log, STDERR_FILENO);
    close(nowhere);
    return hush;
}

void hush_end(const struct hush *hush, char complaint[HUSH_BYTES])
{
    ssize_t bytes = pread(hush->log, complaint, HUSH_BYTES - 1, 0);

    complaint[bytes > 0 ? bytes : 0] = '\0';
    complaint[strcspn(complaint, "\n")] = '\0';
    fflush(stdout);
    dup2(hush->out, STDOUT_FILENO);
    dup2(hush->err, STDERR_FILENO);
    close(hush->out);
    close(hush->err);
    close(hush->log);
}

void hush_report(const char *program, const char *complaint)
{
    fprintf(stderr, "%s: DPDK started, and reports: %s\n", program, complaint);
}
