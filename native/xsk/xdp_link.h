/* SPDX-License-Identifier: BSD-3-Clause */
/* Attach an XDP program to an interface of this network namespace. */
#ifndef NEARMETAL_XDP_LINK_H
#define NEARMETAL_XDP_LINK_H

#include <errno.h>
#include <stdint.h>

#include <linux/if_link.h>
#include <net/if.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

/* Attach by a link: the kernel refuses it where any program is attached, and removes it with the
 * last descriptor. name: of the program in the object; mode: XDP_FLAGS_*_MODE. Returns the link's
 * descriptor, or a negative error. */
static inline int xdp_link_attach(struct bpf_object *object, const char *name, const char *iface,
                                  uint32_t mode)
{
    LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = mode);
    struct bpf_program *program = bpf_object__find_program_by_name(object, name);
    unsigned index = if_nametoindex(iface);

    if (index == 0)
        return -ENODEV;
    if (program == NULL)
        return -ENOENT;
    return bpf_link_create(bpf_program__fd(program), (int)index, BPF_XDP, &opts);
}

#endif
