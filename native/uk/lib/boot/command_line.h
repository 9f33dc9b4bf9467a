/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * command line: splits the words that a monitor hands to an image, and finds the devices that the
 * monitor itself added.
 *
 * QEMU's microvm appends a word for each virtio device, in the syntax of Linux
 * (virtio_mmio.device=SIZE@ADDRESS:LINE). These words are not options.
 */
#ifndef NEARMETAL_UK_COMMAND_LINE_H
#define NEARMETAL_UK_COMMAND_LINE_H

#include <stdbool.h>
#include <stdint.h>

#define COMMAND_LINE_BYTES 2048u
#define COMMAND_LINE_WORDS 128u
#define COMMAND_LINE_DEVICES 8u

struct mmio_place {
    uint64_t address, nb_bytes;
    unsigned line; /* pin of the I/O APIC */
};

struct command_line {
    char text[COMMAND_LINE_BYTES];
    char *words[COMMAND_LINE_WORDS]; /* [0] is the program's name, as for main() */
    unsigned nb_words;
    struct mmio_place devices[COMMAND_LINE_DEVICES];
    unsigned nb_devices;
};

/* Cut `text` into words and devices. NULL, or one sentence. */
const char *command_line_read(struct command_line *line, const char *text);

#endif
