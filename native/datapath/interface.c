/* SPDX-License-Identifier: BSD-3-Clause */
#include "interface.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/filter.h>
#include <linux/sockios.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

const char *interface_said(const char *what, int error)
{
    static char text[192];

    snprintf(text, sizeof(text), "%s: %s", what, strerror(error));
    return text;
}

static const char *look_up(struct interface *interface, int inet)
{
    static char text[96];
    struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
    struct ifreq asked = {0};

    memcpy(asked.ifr_name, interface->name, sizeof(asked.ifr_name));
    if (ioctl(inet, SIOCGIFINDEX, &asked) != 0) {
        snprintf(text, sizeof(text), "interface %s: %s", interface->name, strerror(errno));
        return text;
    }
    interface->index = asked.ifr_ifindex;
    if (ioctl(inet, SIOCGIFHWADDR, &asked) != 0 || asked.ifr_hwaddr.sa_family != ARPHRD_ETHER) {
        snprintf(text, sizeof(text), "interface %s: it has no Ethernet frames", interface->name);
        return text;
    }
    memcpy(interface->mac, asked.ifr_hwaddr.sa_data, sizeof(interface->mac));
    asked.ifr_data = (void *)&driver;
    interface->is_veth =
        ioctl(inet, SIOCETHTOOL, &asked) == 0 && strcmp(driver.driver, "veth") == 0;
    return NULL;
}

/* Whether an interface of this network namespace has the address. Binding a socket would not tell:
 * in a namespace without addresses the kernel lets a socket bind to any. */
static bool is_kernels(const uint8_t address[4])
{
    struct ifaddrs *list, *each;
    bool found = false;

    if (getifaddrs(&list) != 0)
        return false;
    for (each = list; each != NULL; each = each->ifa_next) {
        if (each->ifa_addr == NULL || each->ifa_addr->sa_family != AF_INET)
            continue;
        const struct sockaddr_in *inet = (const struct sockaddr_in *)(const void *)each->ifa_addr;
        found = found || memcmp(&inet->sin_addr, address, 4) == 0;
    }
    freeifaddrs(list);
    return found;
}

/* Bind a socket that drops everything; its filter is set before it can receive. */
static const char *hold_port(struct interface *interface)
{
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    const struct sock_fprog filter = {.len = 1, .filter = &drop};
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons(interface->port)};

    memcpy(&local.sin_addr, interface->address, sizeof(interface->address));
    interface->held = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (interface->held < 0)
        return interface_said("cannot open a UDP socket", errno);
    if (setsockopt(interface->held, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter)) != 0)
        return interface_said("cannot set a socket's filter", errno);
    if (bind(interface->held, (const struct sockaddr *)&local, sizeof(local)) == 0)
        return NULL;
    int error = errno;
    close(interface->held);
    interface->held = -1;
    if (error == EADDRNOTAVAIL) /* no address of the kernel */
        return NULL;
    return interface_said(
        "cannot hold the UDP port; stop the other server or give another --listen", error);
}

const char *interface_open(struct interface *interface, const struct datapath_config *config)
{
    *interface = (struct interface){.held = -1, .port = config->listen.port};
    memcpy(interface->address, config->listen.addr + 12, sizeof(interface->address));
    if (config->nb_args != 1)
        return "give the interface, and nothing else, behind `--`";
    if (strlen(config->args[0]) >= sizeof(interface->name))
        return "no interface has so long a name";
    strcpy(interface->name, config->args[0]);
    int inet = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (inet < 0)
        return interface_said("cannot open a socket", errno);
    const char *error = look_up(interface, inet);
    close(inet);
    if (error == NULL && is_kernels(interface->address))
        error = hold_port(interface);
    return error;
}

void interface_drop_rights(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)syscall(SYS_capset, &header, none);
}

void interface_close(struct interface *interface)
{
    if (interface->held >= 0)
        close(interface->held);
}
