/* SPDX-License-Identifier: BSD-3-Clause */
/* Attach and detach the XDP program that leads frames to an AF_XDP socket (xsk.bpf.c). */
#ifndef NEARMETAL_XSK_PROGRAM_H
#define NEARMETAL_XSK_PROGRAM_H

#include <stdbool.h>

#include "xsk.h"

struct bpf_object;

struct xsk_program {
    struct bpf_object *object; /* NULL: not loaded */
    int link;                  /* -1: not attached */
    bool native;
};

#define XSK_NO_PROGRAM ((struct xsk_program){.link = -1})

/* NULL, or one sentence. socket: descriptor of the socket, on queue 0. */
const char *xsk_program_attach(struct xsk_program *program, int socket,
                               const struct xsk_config *config);

void xsk_program_detach(struct xsk_program *program);

#endif
