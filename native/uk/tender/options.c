/* SPDX-License-Identifier: BSD-3-Clause */
/* The tender's command line: the options of any DUT, then `--` and the tender's own options. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "netdev_buffers.h"
#include "tender.h"

#define RING_DEFAULT 1024u

static char sentence[256];

static const char *bad(const char *option, const char *value, const char *remedy)
{
    snprintf(sentence, sizeof(sentence), "--%s %.80s: %s", option, value, remedy);
    return sentence;
}

static const char *parse_mac(const char *value, uint8_t mac[6])
{
    unsigned byte[6];
    int end = 0;

    /* sscanf alone would accept signs and blanks as parts of a number. */
    if (strspn(value, "0123456789abcdefABCDEF:") != strlen(value) ||
        sscanf(value, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1], &byte[2], &byte[3], &byte[4],
               &byte[5], &end) != 6 ||
        value[end] != '\0' || byte[0] & 1)
        return bad("mac", value, "not a unicast MAC address, as 02:00:00:00:00:01");
    for (unsigned i = 0; i < 6; i++)
        mac[i] = (uint8_t)byte[i];
    return NULL;
}

static const char *parse_ring(const char *value, uint32_t *size)
{
    char *end;
    unsigned long number = strtoul(value, &end, 10);

    if (*value < '0' || *value > '9' || *end != '\0' || number < 64 || number > NETDEV_RING_MAX ||
        !vring_size_valid((uint32_t)number))
        return bad("ring", value, "not a power of two from 64 to 1024");
    *size = (uint32_t)number;
    return NULL;
}

/* Refuse a path that is too long here; otherwise the tender would retry the connection for ever. */
static const char *parse_socket(const char *value, const char **path)
{
    if (strlen(value) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return bad("socket", value, "the path of a socket has at most 107 bytes");
    *path = value;
    return NULL;
}

static const char *parse_one(struct tender_options *options, int option, const char *value)
{
    switch (option) {
    case 'i':
        options->image = value;
        return NULL;
    case 's':
        return parse_socket(value, &options->front.path);
    case 'l':
        options->front.listen = true;
        return NULL;
    case 'm':
        return parse_mac(value, options->mac);
    case 'r':
        return parse_ring(value, &options->front.ring_size);
    default:
        return "the options behind -- are --image PATH --socket PATH [--server] [--mac MAC] "
               "[--ring N]";
    }
}

/* getopt expects a program name before the options: the `--` stands in its place. */
static const char *parse_own(struct tender_options *options)
{
    static const struct option table[] = {
        {"image", required_argument, NULL, 'i'}, {"socket", required_argument, NULL, 's'},
        {"server", no_argument, NULL, 'l'},      {"mac", required_argument, NULL, 'm'},
        {"ring", required_argument, NULL, 'r'},  {NULL, 0, NULL, 0}};
    char *const *argv = options->dut.datapath.args - 1;
    int argc = options->dut.datapath.nb_args + 1, option;

    optind = 0; /* glibc: restart the scan */
    opterr = 0; /* this file prints the errors */
    while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
        const char *error = parse_one(options, option, optarg);
        if (error != NULL)
            return error;
    }
    if (optind < argc)
        return bad("image", argv[optind], "a word too many on the command line");
    return NULL;
}

const char *tender_options_parse(struct tender_options *options, int argc, char **argv)
{
    static const uint8_t mac_default[6] = {0x02, 0, 0, 0, 0, 0x01};
    const char *error;

    *options = (struct tender_options){.front = {.ring_size = RING_DEFAULT, .events = true}};
    memcpy(options->mac, mac_default, sizeof(options->mac));
    if ((error = options_parse(&options->dut, argc, argv)) != NULL ||
        (error = parse_own(options)) != NULL)
        return error;
    if (options->image == NULL || options->front.path == NULL)
        return "missing: -- --image PATH --socket PATH (the image to run, and the socket of its "
               "wire)";
    options->front.hugepages = options->dut.hugepages;
    options->front.called = !options->dut.datapath.poll;
    options->front.buffers_bytes =
        (size_t)(options->front.ring_size + NETDEV_SPARES) * NETDEV_STRIDE_BYTES;
    return NULL;
}
