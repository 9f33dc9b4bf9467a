/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_wire.h"

#include <stdlib.h>
#include <string.h>

#include "../check.h"

struct fake_wire fake;

const char wire_name[] = "fake";
const bool wire_unfinished = false;

static uint8_t *copy(const uint8_t *data, uint32_t len)
{
    uint8_t *bytes = malloc(len == 0 ? 1 : len);

    CHECK(bytes != NULL);
    memcpy(bytes, data, len);
    return bytes;
}

void fake_reset(void)
{
    for (unsigned i = 0; i < FAKE_FRAMES; i++) {
        free(fake.in[i].data);
        free(fake.out[i].data);
        free(fake.rooms[i]);
    }
    memset(&fake, 0, sizeof(fake));
    fake.up = true;
    fake.nb_rooms = FAKE_FRAMES;
    fake.room_bytes = WIRE_FRAME_BYTES_MAX;
}

void fake_put(const uint8_t *data, uint32_t len)
{
    CHECK(fake.nb_in < FAKE_FRAMES);
    fake.in[fake.nb_in++] = (struct fake_frame){len, copy(data, len)};
}

const char *wire_check(const struct wire_config *config)
{
    (void)config;
    return NULL;
}

const char *wire_open(struct wire **wire, const struct wire_config *config)
{
    (void)config;
    *wire = (struct wire *)&fake;
    return NULL;
}

void wire_mac(const struct wire *wire, uint8_t mac[6])
{
    static const uint8_t ours[6] = {2, 0, 0, 0, 0, 1};

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
    (void)wire;
    return fake.up;
}

unsigned wire_lend(struct wire *wire, struct wire_frame *rooms, unsigned nb)
{
    (void)wire;
    nb = nb < fake.nb_rooms ? nb : fake.nb_rooms;
    for (unsigned i = 0; i < nb; i++) {
        free(fake.rooms[i]);
        fake.rooms[i] = malloc(fake.room_bytes);
        CHECK(fake.rooms[i] != NULL);
        memset(fake.rooms[i], 0xee, fake.room_bytes); /* earlier bytes must not matter */
        rooms[i] = (struct wire_frame){fake.rooms[i], fake.room_bytes};
    }
    return nb;
}

void wire_send(struct wire *wire, const struct wire_frame *frames, unsigned nb)
{
    (void)wire;
    CHECK(nb <= fake.nb_rooms && fake.nb_out + nb <= FAKE_FRAMES);
    fake.nb_rooms -= nb;
    for (unsigned i = 0; i < nb; i++) {
        CHECK(frames[i].data == fake.rooms[i] && frames[i].len <= fake.room_bytes);
        fake.out[fake.nb_out++] =
            (struct fake_frame){frames[i].len, copy(frames[i].data, frames[i].len)};
    }
}

unsigned wire_receive(struct wire *wire, struct wire_frame *frames, unsigned nb)
{
    unsigned got = 0;

    (void)wire;
    for (; got < nb && fake.next_in < fake.nb_in; got++, fake.next_in++)
        frames[got] = (struct wire_frame){fake.in[fake.next_in].data, fake.in[fake.next_in].len};
    return got;
}

void wire_ahead(struct wire *wire, unsigned nb)
{
    (void)wire, (void)nb;
}

/* A returned frame belongs to the other side again, so it is freed here. */
void wire_return(struct wire *wire)
{
    (void)wire;
    for (; fake.nb_returned < fake.next_in; fake.nb_returned++) {
        free(fake.in[fake.nb_returned].data);
        fake.in[fake.nb_returned].data = NULL;
    }
}

void wire_stats(const struct wire *wire, struct wire_stats *stats)
{
    (void)wire;
    *stats = (struct wire_stats){.nb_tx = fake.nb_out, .nb_rx = fake.next_in};
}

void wire_close(struct wire *wire)
{
    (void)wire;
}
