/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generator's wire over an AF_XDP socket (xsk/xsk.h): frames are written and checked in memory
 * that the kernel's sending and receiving parts read and write, past its network stack.
 */
#include "wire.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xsk.h"

const char wire_name[] = "xdp";
const bool wire_unfinished = true;

struct wire {
    struct xsk *xsk;
};

const char *wire_check(const struct wire_config *config)
{
    if (config->socket_path != NULL || config->connect)
        return "--socket and --connect are options of nm-load-vhost";
    if (config->nb_args > 0)
        return "takes no arguments besides its options (see --help)";
    return config->iface != NULL ? NULL : "--iface NAME is missing: the interface to send from";
}

const char *wire_open(struct wire **out, const struct wire_config *config)
{
    struct xsk_config xsk = {
        .iface = config->iface, .port_first = config->port_first, .nb_ports = config->nb_ports};
    struct wire *wire = calloc(1, sizeof(*wire));
    const char *why;

    if (wire == NULL)
        return "out of memory";
    memcpy(xsk.address, config->address, sizeof(xsk.address));
    why = xsk_open(&wire->xsk, &xsk);
    if (why != NULL)
        free(wire);
    else
        *out = wire;
    return why;
}

void wire_mac(const struct wire *wire, uint8_t mac[6])
{
    xsk_mac(wire->xsk, mac);
}

const char *wire_words(const struct wire *wire)
{
    static char words[64];

    snprintf(words, sizeof(words), ",\"xdp\":\"%s\",\"umem\":\"%s\"", xsk_mode(wire->xsk),
             xsk_is_zero_copy(wire->xsk) ? "zero-copy" : "copy");
    return words;
}

bool wire_up(struct wire *wire)
{
    return xsk_up(wire->xsk);
}

_Static_assert(sizeof(struct wire_frame) == sizeof(struct xsk_frame) &&
                   offsetof(struct wire_frame, data) == offsetof(struct xsk_frame, data) &&
                   offsetof(struct wire_frame, len) == offsetof(struct xsk_frame, len),
               "a frame of the wire is a frame of the socket");

unsigned wire_lend(struct wire *wire, struct wire_frame *rooms, unsigned nb)
{
    return xsk_lend(wire->xsk, (struct xsk_frame *)(void *)rooms, nb);
}

void wire_send(struct wire *wire, const struct wire_frame *frames, unsigned nb)
{
    xsk_send(wire->xsk, (const struct xsk_frame *)(const void *)frames, nb);
}

unsigned wire_receive(struct wire *wire, struct wire_frame *frames, unsigned nb)
{
    return xsk_receive(wire->xsk, (struct xsk_frame *)(void *)frames, nb);
}

void wire_ahead(struct wire *wire, unsigned nb)
{
    (void)wire, (void)nb;
}

void wire_return(struct wire *wire)
{
    xsk_return(wire->xsk);
}

void wire_stats(const struct wire *wire, struct wire_stats *stats)
{
    struct xsk_stats xsk;

    xsk_stats(wire->xsk, &xsk);
    *stats = (struct wire_stats){.nb_tx = xsk.nb_tx, .nb_rx = xsk.nb_rx, .nb_bad = xsk.nb_bad};
}

void wire_close(struct wire *wire)
{
    xsk_close(wire->xsk);
    free(wire);
}
