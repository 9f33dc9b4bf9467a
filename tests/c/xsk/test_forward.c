/* SPDX-License-Identifier: BSD-3-Clause */
/* A server's half of an AF_XDP socket, with a made-up kernel: frames are sent from where they were
 * received. */
#include <string.h>

#include "../check.h"
#include "kernel_bed.h"

static struct kernel kernel;

static uint64_t bad(void)
{
    return kernel.rings.stats.nb_bad;
}

/* Take what arrived, write into it, and forward it; every third frame is freed instead. */
static unsigned served(uint8_t value)
{
    struct xsk_frame frames[XSK_BURST_MAX], sent[XSK_BURST_MAX];
    unsigned nb = xsk_rings_take(&kernel.rings, frames, XSK_BURST_MAX), nb_sent = 0;

    for (unsigned i = 0; i < nb; i++) {
        CHECK((uint64_t)(frames[i].data - kernel.umem) % XSK_FRAME_BYTES == 256);
        CHECK(frames[i].len == 60 && frames[i].data[0] == value);
        if (i % 3 == 2) {
            xsk_rings_free(&kernel.rings, &frames[i], 1);
            continue;
        }
        frames[i].len = 100;
        memset(frames[i].data, value + 1, frames[i].len);
        sent[nb_sent++] = frames[i];
    }
    CHECK(xsk_rings_forward(&kernel.rings, sent, nb_sent) == nb_sent);
    return nb_sent;
}

static void test_forwards_frames_and_receives_into_them_again(uint32_t begin)
{
    struct xdp_desc desc;

    kernel_begin(&kernel, begin);
    for (unsigned turn = 0; turn < 3000; turn++) {
        unsigned nb = 1 + turn % XSK_BURST_MAX, nb_sent, i;

        for (i = 0; i < nb; i++)
            kernel_receive(&kernel, (uint8_t)turn, 60);
        nb_sent = served((uint8_t)turn);
        CHECK(nb_sent == nb - nb / 3);
        for (i = 0; kernel_take_sent(&kernel, &desc); i++) {
            CHECK(desc.len == 100 && kernel.umem[desc.addr + 99] == (uint8_t)(turn + 1));
            kernel_put_completed(&kernel, desc.addr);
        }
        CHECK(i == nb_sent);
    }
    CHECK(xsk_rings_take(&kernel.rings, &(struct xsk_frame){0}, 1) == 0);
    CHECK(kernel.rings.nb_sending == 0 && bad() == 0 && !kernel.rings.broken);
    CHECK(atomic_load(&kernel.fill.producer.value) - kernel.fill.at == XSK_RX_FRAMES);
    kernel_end(&kernel);
}

/* Empty frames, and no more frames in flight than the completion ring has entries. */
static void test_a_kernel_that_completes_nothing_ends_the_forwarding(void)
{
    struct xsk_frame frames[XSK_TX_FRAMES + 1];
    struct xdp_desc desc;
    uint64_t first;

    kernel_begin(&kernel, 0);
    CHECK(xsk_rings_alloc(&kernel.rings, frames, XSK_TX_FRAMES + 1) == XSK_TX_FRAMES);
    for (unsigned i = 0; i < XSK_TX_FRAMES; i++)
        frames[i].len = 60;
    first = kernel_receive(&kernel, 1, 60);
    CHECK(xsk_rings_take(&kernel.rings, &frames[XSK_TX_FRAMES], 1) == 1);
    CHECK(xsk_rings_forward(&kernel.rings, frames, XSK_TX_FRAMES + 1) == XSK_TX_FRAMES);
    CHECK(xsk_rings_forward(&kernel.rings, &frames[XSK_TX_FRAMES], 1) == 0);
    CHECK(kernel_take_sent(&kernel, &desc));
    kernel_put_completed(&kernel, desc.addr);
    kernel_put_completed(&kernel, desc.addr); /* twice */
    kernel_put_completed(&kernel, first);     /* the user's */
    CHECK(xsk_rings_forward(&kernel.rings, &frames[XSK_TX_FRAMES], 1) == 1);
    CHECK(xsk_rings_alloc(&kernel.rings, frames, 2) == 1);
    CHECK(bad() == 2 && !kernel.rings.broken);
    xsk_rings_free(&kernel.rings, frames, 1);
    CHECK(xsk_rings_alloc(&kernel.rings, frames, 2) == 1);
    kernel_end(&kernel);
}

static void test_a_server_gives_frames_that_are_none_back(void)
{
    struct xsk_frame frames[XSK_BURST_MAX];
    uint64_t address;

    kernel_begin(&kernel, 0);
    CHECK(kernel_take_empty(&kernel, &address));
    kernel_put_received(&kernel, (struct xdp_desc){.addr = address, .len = UINT32_MAX});
    kernel_put_received(&kernel, (struct xdp_desc){.addr = UINT64_MAX, .len = 60});
    CHECK(xsk_rings_take(&kernel.rings, frames, XSK_BURST_MAX) == 0 && bad() == 2);
    CHECK(atomic_load(&kernel.fill.producer.value) - kernel.fill.at == XSK_RX_FRAMES);
    kernel_end(&kernel);
}

int main(void)
{
    const uint32_t wrap = 0u - 8 * XSK_RX_FRAMES;

    test_forwards_frames_and_receives_into_them_again(0);
    test_forwards_frames_and_receives_into_them_again(wrap);
    test_a_kernel_that_completes_nothing_ends_the_forwarding();
    test_a_server_gives_frames_that_are_none_back();
    return 0;
}
