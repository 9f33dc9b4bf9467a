/* SPDX-License-Identifier: BSD-3-Clause */
#include "cmdline.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_address(char *value, struct cmdline *cmdline)
{
    char *slash = strchr(value, '/'), *end;

    if (slash == NULL || slash[1] < '0' || slash[1] > '9')
        return false;
    *slash = '\0';
    unsigned long bits = strtoul(slash + 1, &end, 10);
    cmdline->prefix_bits = (unsigned)bits;
    return *end == '\0' && bits >= 1 && bits <= 32 &&
           inet_pton(AF_INET, value, &cmdline->address) == 1 && cmdline->address.s_addr != 0;
}

static bool parse_driver(char *value, struct cmdline *cmdline)
{
    cmdline->driver = value;
    return *value != '\0' && strchr(value, '/') == NULL;
}

static bool parse_server(char *value, struct cmdline *cmdline)
{
    unsigned nb_words = 0;

    for (char *word = strtok(value, " "); word != NULL; word = strtok(NULL, " ")) {
        if (nb_words == CMDLINE_WORDS_MAX)
            return false;
        cmdline->argv[++nb_words] = word;
    }
    return nb_words > 0;
}

/* Cut off the next word, without its quotes. Returns NULL at the end. */
static char *next_word(char **rest)
{
    char *from = *rest + strspn(*rest, " \n"), *to = from;
    bool quoted = false;

    if (*from == '\0')
        return NULL;
    char *word = from;
    for (; *from != '\0' && (quoted || (*from != ' ' && *from != '\n')); from++) {
        if (*from == '"')
            quoted = !quoted;
        else
            *to++ = *from;
    }
    *rest = *from == '\0' ? from : from + 1;
    *to = '\0';
    return word;
}

const char *cmdline_parse(struct cmdline *cmdline, const char *text)
{
    static const struct {
        const char *name;
        bool (*parse)(char *value, struct cmdline *cmdline);
        const char *error;
    } parameters[] = {
        {"nm.address=", parse_address, "nm.address: give ADDR/BITS, such as 10.0.0.100/24"},
        {"nm.driver=", parse_driver, "nm.driver: give a driver's name, such as uio_pci_generic"},
        {"nm.server=", parse_server, "nm.server: give one to 126 words"},
    };
    char *rest = cmdline->text, *word;

    memset(cmdline, 0, sizeof(*cmdline));
    if (strlen(text) >= sizeof(cmdline->text))
        return "the kernel's command line is longer than 2,047 bytes";
    strcpy(cmdline->text, text);
    while ((word = next_word(&rest)) != NULL) {
        unsigned i = 0, nb = sizeof(parameters) / sizeof(parameters[0]);
        while (i < nb && strncmp(word, parameters[i].name, strlen(parameters[i].name)) != 0)
            i++;
        if (i == nb && strncmp(word, "nm.", 3) == 0)
            return "unknown nm. parameter; give nm.address, nm.driver or nm.server";
        if (i < nb && !parameters[i].parse(word + strlen(parameters[i].name), cmdline))
            return parameters[i].error;
    }
    return cmdline->argv[1] != NULL ? NULL : "nm.server is missing: give the server's arguments";
}
