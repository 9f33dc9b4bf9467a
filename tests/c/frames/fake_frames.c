/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_frames.h"

#include <stdlib.h>
#include <string.h>

#include "../check.h"

#define FAKE_TSC_HZ 1000000u /* a millisecond of empty turns takes 1,000 ticks */

/* Weak: a datapath made of these frames may define its own name. */
const char datapath_name[] __attribute__((weak)) = "fake";

struct frames {
    struct fake fake;
};

static struct frames frames;

struct fake *fake(void)
{
    return &frames.fake;
}

const char *frames_open(struct frames **out, const struct datapath_config *config)
{
    (void)config;
    *out = &frames;
    return frames.fake.error;
}

void frames_mac(const struct frames *this, uint8_t mac[6])
{
    (void)this;
    memcpy(mac, bed_server_mac, 6);
}

uint64_t frames_tsc_hz(const struct frames *this)
{
    (void)this;
    return FAKE_TSC_HZ;
}

static void make(struct fake *fake, struct frame *out)
{
    uint8_t *data = malloc(FRAME_BYTES_MAX);
    CHECK(data != NULL);
    memset(data, 0x5a, FRAME_BYTES_MAX);
    *out = (struct frame){.data = data, .buffer = data};
    fake->nb_out++;
}

static void give_back(struct fake *fake, const struct frame *frame)
{
    CHECK(frame->data != NULL && frame->data == frame->buffer);
    free(frame->buffer);
    CHECK(fake->nb_out-- > 0);
}

unsigned frames_rx_burst(struct frames *this, struct frame *out, unsigned nb)
{
    struct fake *fake = &this->fake;
    unsigned nb_rx = fake->nb_rx < nb ? fake->nb_rx : nb;
    for (unsigned i = 0; i < nb_rx; i++) {
        make(fake, &out[i]);
        uint32_t len = fake->rx[i].len;
        memcpy(out[i].data, fake->rx[i].bytes, len < FRAME_BYTES_MAX ? len : FRAME_BYTES_MAX);
        out[i].len = len;
        out[i].vouched = fake->vouched[i];
    }
    fake->nb_rx = 0;
    return nb_rx;
}

unsigned frames_ahead(struct frames *this, struct frame *out, unsigned nb)
{
    static uint8_t beyond[FRAME_BYTES_MAX];
    struct fake *fake = &this->fake;
    unsigned nb_ahead = fake->nb_ahead < nb ? fake->nb_ahead : nb;
    for (unsigned i = 0; i < nb_ahead; i++)
        out[i] = (struct frame){.data = beyond, .len = fake->ahead_len[i]};
    fake->nb_ahead = 0;
    return nb_ahead;
}

unsigned frames_alloc(struct frames *this, struct frame *out, unsigned nb)
{
    struct fake *fake = &this->fake;
    unsigned i = 0;
    for (; i < nb && fake->nb_alloc > 0; i++) {
        make(fake, &out[i]);
        fake->nb_alloc--;
    }
    return i;
}

unsigned frames_tx_burst(struct frames *this, const struct frame *list, unsigned nb)
{
    struct fake *fake = &this->fake;
    unsigned nb_tx = nb < fake->tx_room ? nb : fake->tx_room;
    CHECK(fake->nb_sent + nb_tx <= FAKE_SENT_MAX);
    for (unsigned i = 0; i < nb_tx; i++) {
        struct bed_frame *sent = &fake->sent[fake->nb_sent++];
        CHECK(list[i].len <= FRAME_BYTES_MAX);
        sent->len = list[i].len;
        memcpy(sent->bytes, list[i].data, list[i].len);
        give_back(fake, &list[i]);
    }
    fake->tx_room -= nb_tx;
    return nb_tx;
}

void frames_free(struct frames *this, const struct frame *list, unsigned nb)
{
    for (unsigned i = 0; i < nb; i++)
        give_back(&this->fake, &list[i]);
}

bool frames_wait(struct frames *this, uint64_t ns)
{
    CHECK(ns > 0 && ns <= DATAPATH_WAIT_NS);
    this->fake.nb_waits++;
    return true;
}

void frames_stats(const struct frames *this, struct datapath_stats *stats)
{
    (void)this;
    stats->nb_syscalls = 0;
}

void frames_close(struct frames *this)
{
    (void)this;
}
