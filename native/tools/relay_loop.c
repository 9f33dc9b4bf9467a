/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop of nm-relay: see relay_loop.h. */
#include "relay_loop.h"

static unsigned from_server(struct relay *relay)
{
    struct vhost_frame frames[CARRIER_BURST];
    unsigned nb = vhost_receive(relay->device, frames, CARRIER_BURST);

    if (nb > 0)
        relay->nb_dropped += nb - relay->carrier->send(frames, nb);
    vhost_return(relay->device);
    return nb;
}

/* Returns how many messages were taken from the carrier. *room: whether there was room for any. */
static unsigned to_server(struct relay *relay, bool *room)
{
    static uint8_t waste[CARRIER_BURST][VHOST_ROOM_BYTES_MIN];
    struct vhost_frame rooms[CARRIER_BURST];
    unsigned nb = vhost_lend(relay->device, rooms, CARRIER_BURST);

    if (!relay->up) {
        for (nb = 0; nb < CARRIER_BURST; nb++)
            rooms[nb] = (struct vhost_frame){.data = waste[nb], .len = sizeof(waste[nb])};
    }
    *room = nb > 0;
    if (nb == 0)
        return 0;
    struct carrier_received received = relay->carrier->receive(rooms, nb);
    relay->gone = received.gone;
    relay->nb_dropped += received.nb_taken - received.nb_frames;
    if (relay->up && received.nb_frames > 0)
        vhost_send(relay->device, rooms, received.nb_frames);
    else
        relay->nb_dropped += received.nb_frames;
    return received.nb_taken;
}

/* Run one turn. Returns false if there was nothing to do. */
static bool turn(struct relay *relay, bool *room)
{
    vhost_control(relay->device);
    if (vhost_up(relay->device) != relay->up) {
        relay->up = !relay->up;
        relay->say(relay->up ? "up" : "down");
    }
    return from_server(relay) + to_server(relay, room) > 0;
}

void relay_run(struct relay *relay)
{
    bool overslept = false, room;

    while (!*relay->stop && !relay->gone) {
        if (turn(relay, &room)) {
            relay->nb_overslept += overslept;
            overslept = false;
        } else {
            int fd = room ? relay->carrier->fd() : -1;
            overslept = !vhost_wait(relay->device, fd, relay->sleep_ns) && relay->up;
        }
    }
}
