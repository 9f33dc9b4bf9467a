/* SPDX-License-Identifier: BSD-3-Clause */
/* vhost-user messages: see vhost_user.h. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vhost_user.h"

/* Buffer for the control part of one sendmsg or recvmsg, aligned for cmsghdr. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int) * VHOST_USER_FDS_MAX)];
};

static void keep_fds(struct vhost_user_message *message, struct msghdr *from)
{
    struct cmsghdr *part;

    for (part = CMSG_FIRSTHDR(from); part != NULL; part = CMSG_NXTHDR(from, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        size_t nb = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < nb; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof(fd), sizeof(fd));
            if (message->nb_fds < VHOST_USER_FDS_MAX)
                message->fds[message->nb_fds++] = fd;
            else
                close(fd); /* one too many; those beyond the buffer were closed by the kernel */
        }
    }
}

/* Read at most nb bytes to `to`. Returns how many; 0: none now; -1: the peer is gone. */
static ssize_t read_some(int socket, struct vhost_user_message *message, uint8_t *to, size_t nb)
{
    union control control;
    struct iovec part = {.iov_base = to, .iov_len = nb};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control.bytes,
                            .msg_controllen = sizeof(control.bytes)};
    ssize_t got = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

    if (got < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -1;
    if (got == 0)
        return -1;
    keep_fds(message, &header);
    return got;
}

enum vhost_user_result vhost_user_receive(int socket, struct vhost_user_reader *reader)
{
    struct vhost_user_message *message = &reader->message;

    if (reader->nb_bytes == 0)
        vhost_user_drop(message);
    for (;;) {
        bool in_header = reader->nb_bytes < VHOST_USER_HEADER_BYTES;
        size_t whole = VHOST_USER_HEADER_BYTES + (in_header ? 0 : message->header.bytes);
        if (!in_header && reader->nb_bytes == whole) {
            reader->nb_bytes = 0;
            return VHOST_USER_MESSAGE;
        }
        uint8_t *to =
            in_header ? (uint8_t *)&message->header + reader->nb_bytes
                      : (uint8_t *)&message->payload + reader->nb_bytes - VHOST_USER_HEADER_BYTES;
        ssize_t got = read_some(socket, message, to, whole - reader->nb_bytes);
        if (got <= 0)
            return got == 0 ? VHOST_USER_NOTHING : VHOST_USER_GONE;
        reader->nb_bytes += (size_t)got;
        if (reader->nb_bytes == VHOST_USER_HEADER_BYTES) {
            if ((message->header.flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION ||
                message->header.bytes > sizeof(message->payload))
                return VHOST_USER_GONE;
            message->payload = (union vhost_user_payload){0};
        }
    }
}

uint64_t vhost_user_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

enum vhost_user_result vhost_user_wait(int socket, struct vhost_user_reader *reader,
                                       uint64_t end_ns)
{
    struct pollfd wait = {.fd = socket, .events = POLLIN};
    enum vhost_user_result result;

    while ((result = vhost_user_receive(socket, reader)) == VHOST_USER_NOTHING) {
        uint64_t now_ns = vhost_user_now_ns();
        if (now_ns >= end_ns)
            break;
        int left_ms = (int)((end_ns - now_ns + 999999u) / 1000000u);
        if (poll(&wait, 1, left_ms) < 0 && errno != EINTR)
            break;
    }
    return result;
}

bool vhost_user_send(int socket, const struct vhost_user_message *message)
{
    union control control = {0};
    size_t fds_bytes = message->nb_fds * sizeof(int);
    /*
     * One sendmsg: a stream takes some hundred bytes whole unless its buffer is full, and between
     * two sides that answer each other it is never full. A peer that does not read counts as gone.
     */
    struct iovec parts[] = {
        {.iov_base = (void *)(uintptr_t)&message->header, .iov_len = VHOST_USER_HEADER_BYTES},
        {.iov_base = (void *)(uintptr_t)&message->payload, .iov_len = message->header.bytes}};
    struct msghdr header = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t sent;

    if (message->nb_fds > 0) {
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(fds_bytes);
        control.header = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(fds_bytes)};
        memcpy(CMSG_DATA(&control.header), message->fds, fds_bytes);
    }
    do
        sent = sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)(VHOST_USER_HEADER_BYTES + message->header.bytes);
}

int vhost_user_take(struct vhost_user_message *message, unsigned i)
{
    int fd = i < message->nb_fds ? message->fds[i] : -1;

    if (i < message->nb_fds)
        message->fds[i] = -1;
    return fd;
}

void vhost_user_drop(struct vhost_user_message *message)
{
    for (unsigned i = 0; i < message->nb_fds; i++) {
        if (message->fds[i] >= 0)
            close(message->fds[i]);
    }
    message->nb_fds = 0;
}

static int new_socket(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address->sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address->sun_path, path);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

static int close_failed(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
    return -1;
}

int vhost_user_connect(const char *path)
{
    struct sockaddr_un address;
    int fd = new_socket(path, &address);

    if (fd < 0)
        return -1;
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return close_failed(fd);
    return fd;
}

/* Remove the socket of a process that was killed: no process accepts connections there. */
static void remove_dead(const char *path)
{
    struct stat found;
    int fd;

    if (lstat(path, &found) != 0 || !S_ISSOCK(found.st_mode))
        return;
    fd = vhost_user_connect(path);
    if (fd >= 0)
        close(fd);
    else if (errno == ECONNREFUSED)
        unlink(path);
}

int vhost_user_listen(const char *path)
{
    struct sockaddr_un address;
    int fd;

    remove_dead(path);
    fd = new_socket(path, &address);
    if (fd < 0)
        return -1;
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 4) != 0)
        return close_failed(fd);
    return fd;
}
