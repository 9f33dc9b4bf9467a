/* SPDX-License-Identifier: BSD-3-Clause */
#include "xsk_program.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/if_link.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "xdp_link.h"
#include "xsk_match.h"
#include "xsk_object.h"

static int print_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
    return 0;
}

static const char *said(const char *what, const char *iface, int error)
{
    static char text[192];

    snprintf(text, sizeof(text), "%s %s: %s", what, iface, strerror(error));
    return text;
}

/* Set the frames that are ours, before the program is loaded. */
static int match_set(struct bpf_object *object, const struct xsk_config *config)
{
    struct bpf_map *map = bpf_object__find_map_by_name(object, ".data");
    struct xsk_match match = {.port_first = config->port_first,
                              .nb_ports = config->nb_ports,
                              .without_arp = config->without_arp};

    memcpy(&match.address, config->address, sizeof(match.address));
    return map == NULL ? -ENOENT : bpf_map__set_initial_value(map, &match, sizeof(match));
}

static int load(struct bpf_object *object, int socket, const struct xsk_config *config)
{
    const uint32_t queue = 0;
    int status = match_set(object, config);
    struct bpf_map *sockets;

    if (status == 0)
        status = bpf_object__load(object);
    if (status != 0)
        return status;
    sockets = bpf_object__find_map_by_name(object, "sockets");
    return sockets == NULL ? -ENOENT
                           : bpf_map_update_elem(bpf_map__fd(sockets), &queue, &socket, BPF_ANY);
}

const char *xsk_program_attach(struct xsk_program *program, int socket,
                               const struct xsk_config *config)
{
    int status;

    libbpf_set_print(print_nothing);
    program->object = bpf_object__open_mem(xsk_object, sizeof(xsk_object), NULL);
    if (program->object == NULL)
        return said("cannot read the XDP program for", config->iface, errno);
    status = load(program->object, socket, config);
    if (status != 0)
        return said("cannot load the XDP program (it needs CAP_BPF and CAP_NET_ADMIN) for",
                    config->iface, -status);
    program->link =
        xdp_link_attach(program->object, "to_socket", config->iface, XDP_FLAGS_DRV_MODE);
    program->native = program->link >= 0;
    if (program->link == -EOPNOTSUPP)
        program->link =
            xdp_link_attach(program->object, "to_socket", config->iface, XDP_FLAGS_SKB_MODE);
    if (program->link >= 0)
        return NULL;
    status = -program->link;
    program->link = -1;
    if (status == EBUSY || status == EEXIST)
        return said("another XDP program is attached, and is left in place, on", config->iface,
                    status);
    return said("cannot attach the XDP program to", config->iface, status);
}

void xsk_program_detach(struct xsk_program *program)
{
    if (program->link >= 0)
        close(program->link);
    if (program->object != NULL)
        bpf_object__close(program->object);
    *program = XSK_NO_PROGRAM;
}
