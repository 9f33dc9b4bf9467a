/* SPDX-License-Identifier: BSD-3-Clause */
#include "machine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/module.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MODULES "/modules/"
#define DEVICES "/sys/bus/pci/devices"
#define NAME_BYTES 128

static char error_text[256];

__attribute__((format(printf, 1, 2))) static const char *fail(const char *format, ...)
{
    va_list arguments;
    int cause = errno;

    va_start(arguments, format);
    int bytes = vsnprintf(error_text, sizeof(error_text), format, arguments);
    va_end(arguments);
    if (bytes >= 0 && (size_t)bytes < sizeof(error_text))
        snprintf(error_text + bytes, sizeof(error_text) - (size_t)bytes, ": %s", strerror(cause));
    return error_text;
}

const char *mount_all(void)
{
    static const struct {
        const char *type, *path;
    } mounts[] = {{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}};

    for (unsigned i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++)
        if (mount(mounts[i].type, mounts[i].path, mounts[i].type, 0, NULL) != 0)
            return fail("cannot mount %s", mounts[i].path);
    return NULL;
}

static const char *load_module(const char *name)
{
    char path[sizeof(MODULES) + NAME_BYTES];

    snprintf(path, sizeof(path), MODULES "%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail("cannot open the module %s", name);
    long result = syscall(SYS_finit_module, fd, "", 0);
    const char *error = result != 0 && errno != EEXIST ? fail("cannot load %s", name) : NULL;
    close(fd);
    return error;
}

const char *load_modules(void)
{
    FILE *order = fopen(MODULES "order", "re");
    char name[NAME_BYTES];
    const char *error = NULL;

    if (order == NULL)
        return fail("cannot open " MODULES "order");
    while (error == NULL && fgets(name, sizeof(name), order) != NULL) {
        name[strcspn(name, "\n")] = '\0';
        error = load_module(name);
    }
    fclose(order);
    return error;
}

/* Find the first interface other than the loopback. */
static bool find_interface(char name[IFNAMSIZ])
{
    struct if_nameindex *list = if_nameindex();
    bool found = false;

    for (struct if_nameindex *each = list; each != NULL && each->if_index != 0; each++)
        if (!found && strcmp(each->if_name, "lo") != 0) {
            snprintf(name, IFNAMSIZ, "%s", each->if_name);
            found = true;
        }
    if (list != NULL)
        if_freenameindex(list);
    return found;
}

static void set_addr(struct sockaddr *addr, struct in_addr value)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = value};

    memcpy(addr, &in, sizeof(in));
}

/* netdevice(7) */
static const char *set_address(int fd, struct ifreq *request, const struct cmdline *cmdline)
{
    uint32_t mask = 0xffffffffu << (32 - cmdline->prefix_bits);

    set_addr(&request->ifr_addr, cmdline->address);
    if (ioctl(fd, SIOCSIFADDR, request) != 0)
        return fail("cannot give %s its address", request->ifr_name);
    set_addr(&request->ifr_netmask, (struct in_addr){htonl(mask)});
    if (ioctl(fd, SIOCSIFNETMASK, request) != 0)
        return fail("cannot give %s its netmask", request->ifr_name);
    if (ioctl(fd, SIOCGIFFLAGS, request) != 0)
        return fail("cannot read the flags of %s", request->ifr_name);
    request->ifr_flags |= IFF_UP;
    return ioctl(fd, SIOCSIFFLAGS, request) == 0 ? NULL
                                                 : fail("cannot bring %s up", request->ifr_name);
}

const char *bring_up(const struct cmdline *cmdline)
{
    struct ifreq request = {0};

    if (!find_interface(request.ifr_name))
        return "there is no network interface: the kernel found no virtio NIC";
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return fail("cannot open a socket");
    const char *error = set_address(fd, &request, cmdline);
    close(fd);
    return error;
}

static bool write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool written = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    int cause = errno;

    if (fd >= 0)
        close(fd);
    errno = cause;
    return written;
}

/* Whether this is a network device with virtio's vendor id, legacy or not (virtio 1.2, 4.1.2). */
static bool is_virtio_nic(const char *device)
{
    unsigned vendor = 0, class = 0;
    char path[NAME_BYTES];

    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof(path), DEVICES "/%.32s/%s", device, i == 0 ? "vendor" : "class");
        FILE *file = fopen(path, "re");
        if (file == NULL)
            return false;
        if (fscanf(file, "%x", i == 0 ? &vendor : &class) != 1)
            vendor = 0;
        fclose(file);
    }
    return vendor == 0x1af4 && class >> 16 == 0x02;
}

/* Whether the device is bound to this driver. */
static bool is_bound(const char *device, const char *driver)
{
    char path[NAME_BYTES], target[NAME_BYTES];

    snprintf(path, sizeof(path), DEVICES "/%.32s/driver", device);
    ssize_t bytes = readlink(path, target, sizeof(target) - 1);
    if (bytes < 0)
        return false;
    target[bytes] = '\0';
    const char *name = strrchr(target, '/');
    return name != NULL && strcmp(name + 1, driver) == 0;
}

/* Documentation/ABI/testing/sysfs-bus-pci: driver_override, unbind. */
static const char *bind_nic(const char *device, const char *driver)
{
    char path[NAME_BYTES];

    /* Kernels with virtio built in (Debian 13's, Ubuntu's) have bound it already. */
    snprintf(path, sizeof(path), DEVICES "/%.32s/driver/unbind", device);
    if (access(path, F_OK) == 0 && !write_text(path, device))
        return fail("cannot unbind %s from the kernel's driver", device);
    snprintf(path, sizeof(path), DEVICES "/%.32s/driver_override", device);
    if (!write_text(path, driver))
        return fail("cannot set driver_override of %s", device);
    if (!write_text("/sys/bus/pci/drivers_probe", device))
        return fail("the driver %s cannot be bound to %s", driver, device);
    return is_bound(device, driver) ? NULL
                                    : fail("the driver %s did not bind to %s", driver, device);
}

const char *bind_nics(const char *driver)
{
    DIR *folder = opendir(DEVICES);
    const char *error = NULL;
    unsigned nb_bound = 0;
    struct dirent *entry;

    if (folder == NULL)
        return fail("there is no PCI bus");
    while (error == NULL && (entry = readdir(folder)) != NULL)
        if (entry->d_name[0] != '.' && is_virtio_nic(entry->d_name)) {
            error = bind_nic(entry->d_name, driver);
            nb_bound++;
        }
    closedir(folder);
    if (error != NULL)
        return error;
    return nb_bound > 0 ? NULL : "there is no virtio NIC on the PCI bus";
}
