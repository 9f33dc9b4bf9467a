/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The generator's wire over vhost-user: the generator is the server's back end, and works in the
 * server's own buffers (virtio/vhost_device.h).
 */
#include "wire.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "vhost_device.h"

const char wire_name[] = "vhost-user";
const bool wire_unfinished = false;

struct wire {
    struct vhost_device *device;
};

const char *wire_check(const struct wire_config *config)
{
    if (config->socket_path == NULL)
        return "--socket PATH is missing: the AF_UNIX socket of vhost-user";
    if (config->iface != NULL)
        return "--iface is an option of nm-load-xdp";
    if (config->nb_args > 0)
        return "takes no arguments besides its options (see --help)";
    return NULL;
}

const char *wire_open(struct wire **out, const struct wire_config *config)
{
    struct vhost_config vhost = {.path = config->socket_path, .connect = config->connect};
    struct wire *wire = calloc(1, sizeof(*wire));
    const char *why;

    if (wire == NULL)
        return "out of memory";
    why = vhost_open(&wire->device, &vhost);
    if (why != NULL)
        free(wire);
    else
        *out = wire;
    return why;
}

/* A locally administered address; there is only one device on this wire. */
void wire_mac(const struct wire *wire, uint8_t mac[6])
{
    static const uint8_t ours[6] = {0x02, 'n', 'm', 't', 'g', 0x01};

    (void)wire;
    memcpy(mac, ours, sizeof(ours));
}

const char *wire_words(const struct wire *wire)
{
    (void)wire;
    return "";
}

bool wire_up(struct wire *wire)
{
    vhost_control(wire->device);
    return vhost_up(wire->device);
}

_Static_assert(sizeof(struct wire_frame) == sizeof(struct vhost_frame) &&
                   offsetof(struct wire_frame, data) == offsetof(struct vhost_frame, data) &&
                   offsetof(struct wire_frame, len) == offsetof(struct vhost_frame, len),
               "a frame of the wire is a frame of the device");

unsigned wire_lend(struct wire *wire, struct wire_frame *rooms, unsigned nb)
{
    return vhost_lend(wire->device, (struct vhost_frame *)(void *)rooms, nb);
}

void wire_send(struct wire *wire, const struct wire_frame *frames, unsigned nb)
{
    vhost_send(wire->device, (const struct vhost_frame *)(const void *)frames, nb);
}

unsigned wire_receive(struct wire *wire, struct wire_frame *frames, unsigned nb)
{
    return vhost_receive(wire->device, (struct vhost_frame *)(void *)frames, nb);
}

void wire_ahead(struct wire *wire, unsigned nb)
{
    vhost_ahead(wire->device, nb);
}

void wire_return(struct wire *wire)
{
    vhost_return_later(wire->device);
}

void wire_stats(const struct wire *wire, struct wire_stats *stats)
{
    struct vhost_stats vhost;

    vhost_stats(wire->device, &vhost);
    *stats = (struct wire_stats){.nb_tx = vhost.nb_tx,
                                 .nb_rx = vhost.nb_rx,
                                 .nb_bad = vhost.nb_bad_descriptor + vhost.nb_bad_index};
}

void wire_close(struct wire *wire)
{
    vhost_close(wire->device);
    free(wire);
}
