/* SPDX-License-Identifier: BSD-3-Clause */
/* command line: see command_line.h. */
#include "command_line.h"

#include "text.h"

#define DEVICE_WORD "virtio_mmio.device="

static char program[] = "image";

/* Parse a size as Linux does: 512, 4K, 0xfeb00000, 1M. */
static const char *read_size(const char *text, uint64_t *number)
{
    if (text[0] == '0' && (text[1] | 0x20) == 'x') {
        const char *first = text += 2;
        for (*number = 0; text_hex_digit(*text) < 16 && text - first < 16; text++)
            *number = *number << 4 | text_hex_digit(*text);
        return text == first || text_hex_digit(*text) < 16 ? NULL : text;
    }
    text = text_read_number(text, number);
    if (text == NULL)
        return NULL;
    unsigned shift = (*text | 0x20) == 'k' ? 10 : (*text | 0x20) == 'm' ? 20 : 0;
    *number <<= shift;
    return text + (shift > 0);
}

static bool read_device(const char *text, struct mmio_place *place)
{
    uint64_t line;

    text = read_size(text, &place->nb_bytes);
    if (text == NULL || *text != '@')
        return false;
    text = read_size(text + 1, &place->address);
    if (text == NULL || *text != ':')
        return false;
    text = text_read_number(text + 1, &line);
    place->line = (unsigned)line;
    return text != NULL && (*text == '\0' || *text == ':') && line < 256;
}

static const char *take_word(struct command_line *line, char *word)
{
    if (text_begins(word, DEVICE_WORD)) {
        if (line->nb_devices < COMMAND_LINE_DEVICES &&
            read_device(word + sizeof(DEVICE_WORD) - 1, &line->devices[line->nb_devices]))
            line->nb_devices++;
        return NULL; /* ignore a device that cannot be parsed */
    }
    if (line->nb_words == COMMAND_LINE_WORDS)
        return "the command line has too many words; at most 127";
    line->words[line->nb_words++] = word;
    return NULL;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n';
}

const char *command_line_read(struct command_line *line, const char *text)
{
    char *at = line->text;
    size_t nb_bytes = text_bytes(text);

    line->nb_words = line->nb_devices = 0;
    line->words[line->nb_words++] = program;
    if (nb_bytes >= sizeof(line->text))
        return "the command line is too long; at most 2,047 bytes";
    __builtin_memcpy(line->text, text, nb_bytes + 1);
    const char *end = at + nb_bytes, *error = NULL;
    while (error == NULL && at < end) {
        char *word = at;
        for (; !is_blank(*at) && *at != '\0'; at++)
            ;
        *at++ = '\0';
        error = *word != '\0' ? take_word(line, word) : NULL;
    }
    return error;
}
