/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * nm-null-xdp: attaches null_xdp.bpf.c to an interface until it gets a signal to stop.
 *
 * Attaches in the driver (native mode) if the driver supports it, else behind the driver (generic
 * mode), where a socket buffer has already been made; the ready line reports the mode.
 *
 * A veth wakes its peer for frames sent by XDP_TX only if the peer has an XDP program too (Linux
 * drivers/net/veth.c, veth_xdp_flush). So the peer gets a program that passes everything. The peer
 * is in another network namespace, which this process enters to attach it. If the peer cannot be
 * reached, --generic works without it.
 *
 * Links hold the programs, and this process's descriptors hold the links: when the process ends,
 * however it ends, both are detached. Nothing is pinned.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/if_link.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "null_xdp_object.h"
#include "xdp_link.h"

struct options {
    const char *iface;
    const char *peer;       /* of a veth pair: the peer's name */
    const char *peer_netns; /* file of the peer's network namespace */
    uint16_t port;
    bool generic; /* use generic mode in any case */
};

/* Print one line on stderr, what and why. Returns the exit status of a failure. */
static int failed(const char *what, const char *name, int error)
{
    fprintf(stderr, "nm-null-xdp: %s %s: %s\n", what, name, strerror(error));
    return 1;
}

static int print_nothing(enum libbpf_print_level level, const char *format, va_list arguments)
{
    (void)level;
    (void)format;
    (void)arguments;
    return 0;
}

static bool port_parse(const char *text, uint16_t *port)
{
    char *end;
    unsigned long value;

    errno = 0;
    value = strtoul(text, &end, 10);
    *port = (uint16_t)value;
    return errno == 0 && end != text && *end == '\0' && value >= 1 && value <= UINT16_MAX;
}

static bool options_parse(int argc, char **argv, struct options *options)
{
    static const struct option known[] = {
        {"iface", required_argument, NULL, 'i'}, {"port", required_argument, NULL, 'p'},
        {"peer", required_argument, NULL, 'o'},  {"peer-netns", required_argument, NULL, 'n'},
        {"generic", no_argument, NULL, 'g'},     {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'i')
            options->iface = optarg;
        else if (option == 'o')
            options->peer = optarg;
        else if (option == 'n')
            options->peer_netns = optarg;
        else if (option == 'g')
            options->generic = true;
        else if (option != 'p' || !port_parse(optarg, &options->port))
            return false;
    }
    return options->iface != NULL && (options->peer == NULL) == (options->peer_netns == NULL) &&
           !(options->generic && options->peer != NULL) && options->port != 0 && optind == argc;
}

static int port_set(struct bpf_object *object, uint16_t port)
{
    struct bpf_map *map = bpf_object__find_map_by_name(object, ".data");

    return map == NULL ? -ENOENT : bpf_map__set_initial_value(map, &port, sizeof(port));
}

/* Attach in the peer's namespace, and return to our own. */
static int attach_peer(struct bpf_object *object, const struct options *options)
{
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int away = open(options->peer_netns, O_RDONLY | O_CLOEXEC);
    int link = -errno;

    if (home >= 0 && away >= 0 && setns(away, CLONE_NEWNET) == 0) {
        link = xdp_link_attach(object, "null_xdp_peer", options->peer, XDP_FLAGS_DRV_MODE);
        if (setns(home, CLONE_NEWNET) != 0)
            abort(); /* cannot fail: this was our namespace before */
    } else if (away >= 0) {
        link = -errno;
    }
    if (away >= 0)
        close(away);
    if (home >= 0)
        close(home);
    return link;
}

/* Attach the responder. Returns the link's descriptor, or a negative error; sets *mode. */
static int attach_responder(struct bpf_object *object, const struct options *options,
                            const char **mode)
{
    int link = -EOPNOTSUPP;

    *mode = "native";
    if (!options->generic)
        link = xdp_link_attach(object, "null_xdp", options->iface, XDP_FLAGS_DRV_MODE);
    if (link >= 0 || options->peer != NULL || link == -ENODEV)
        return link;
    *mode = "generic";
    return xdp_link_attach(object, "null_xdp", options->iface, XDP_FLAGS_SKB_MODE);
}

static int serve(struct bpf_object *object, const struct options *options, const sigset_t *stop)
{
    const char *mode;
    int peer_link = -1, link, signal_number;

    if (options->peer != NULL) {
        peer_link = attach_peer(object, options);
        if (peer_link < 0)
            return failed("cannot attach native XDP to", options->peer, -peer_link);
    }
    link = attach_responder(object, options, &mode);
    if (link >= 0) {
        printf("{\"event\":\"ready\",\"xdp\":\"%s\"}\n", mode);
        fflush(stdout);
        sigwait(stop, &signal_number);
        close(link);
        puts("{\"event\":\"final\"}");
    }
    if (peer_link >= 0)
        close(peer_link);
    return link >= 0 ? 0 : failed("cannot attach XDP to", options->iface, -link);
}

static int run(const struct options *options, const sigset_t *stop)
{
    struct bpf_object *object;
    int status;

    object = bpf_object__open_mem(null_xdp_object, sizeof(null_xdp_object), NULL);
    if (object == NULL)
        return failed("cannot read", "the BPF object", errno);
    status = port_set(object, options->port);
    if (status == 0)
        status = bpf_object__load(object);
    if (status == 0)
        status = serve(object, options, stop);
    else
        status = failed("cannot load", "its BPF program (this needs root)", -status);
    bpf_object__close(object);
    return status;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    sigset_t stop;

    if (!options_parse(argc, argv, &options)) {
        fputs("nm-null-xdp: give --iface NAME --port PORT, and --peer NAME --peer-netns FILE or"
              " --generic\n",
              stderr);
        return 2;
    }
    libbpf_set_print(print_nothing);
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    return run(&options, &stop);
}
