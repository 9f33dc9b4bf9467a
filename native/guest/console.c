/* SPDX-License-Identifier: BSD-3-Clause */
#include "console.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/utsname.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "told_time.h"

#define VULNERABILITIES "/sys/devices/system/cpu/vulnerabilities"
#define KLOG_READ_ALL 3 /* syslog(2) */
#define KLOG_BYTES 4096
#define NS_PER_S 1000000000u
#define HEAR_MS 1000

const char *console_open(void)
{
    struct termios termios;
    int fd = open("/dev/ttyS0", O_RDWR | O_NOCTTY);

    if (fd < 0)
        return "there is no serial port ttyS0";
    for (int i = 0; i < 3; i++)
        dup2(fd, i);
    if (fd > 2)
        close(fd);
    if (tcgetattr(STDIN_FILENO, &termios) == 0) {
        cfmakeraw(&termios);
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &termios);
    }
    return NULL;
}

/* Print a JSON string. Bytes other than printable ASCII, which are not expected, become spaces. */
static void print_string(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            putchar('\\');
        putchar(*text >= ' ' && *text <= '~' ? *text : ' ');
    }
    putchar('"');
}

/* Read a file's first line; "" if it cannot be read. */
static void read_line(const char *path, char *line, int bytes)
{
    FILE *file = fopen(path, "re");

    line[0] = '\0';
    if (file == NULL)
        return;
    if (fgets(line, bytes, file) == NULL)
        line[0] = '\0';
    line[strcspn(line, "\n")] = '\0';
    fclose(file);
}

static void print_mitigations(void)
{
    struct dirent *entry;
    const char *comma = "";
    DIR *folder = opendir(VULNERABILITIES);

    putchar('{');
    while (folder != NULL && (entry = readdir(folder)) != NULL) {
        char path[sizeof(VULNERABILITIES) + sizeof(entry->d_name)], line[256];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), VULNERABILITIES "/%s", entry->d_name);
        read_line(path, line, sizeof(line));
        printf("%s", comma);
        print_string(entry->d_name);
        putchar(':');
        print_string(line);
        comma = ",";
    }
    putchar('}');
    if (folder != NULL)
        closedir(folder);
}

void say_boot(void)
{
    struct utsname name;
    struct timespec up;
    char clock[64];

    uname(&name);
    clock_gettime(CLOCK_BOOTTIME, &up);
    read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", clock,
              sizeof(clock));
    printf("{\"event\":\"boot\",\"kernel\":");
    print_string(name.release);
    printf(",\"vcpus\":%ld,\"clock\":", sysconf(_SC_NPROCESSORS_ONLN));
    print_string(clock);
    printf(",\"uptime_ms\":%ld,\"mitigations\":", (long)up.tv_sec * 1000 + up.tv_nsec / 1000000);
    print_mitigations();
    printf("}\n");
    fflush(stdout);
}

/* Set the clock to the time of sending, if the clock is behind it. */
static void go_forward(uint64_t unix_ns)
{
    struct timespec told = {(time_t)(unix_ns / NS_PER_S), (long)(unix_ns % NS_PER_S)}, now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec < told.tv_sec || (now.tv_sec == told.tv_sec && now.tv_nsec < told.tv_nsec))
        (void)clock_settime(CLOCK_REALTIME, &told);
}

bool hear_time(void)
{
    struct pollfd wait = {.fd = STDIN_FILENO, .events = POLLIN};
    struct told_time told = {0};
    char byte;

    while (poll(&wait, 1, HEAR_MS) == 1 && read(STDIN_FILENO, &byte, 1) == 1) {
        uint64_t unix_ns = told_time_take(&told, byte);
        if (byte == 'q')
            return false;
        if (unix_ns == 0)
            continue;
        go_forward(unix_ns);
        break;
    }
    return true;
}

/* Print the end of the kernel's log; its first line may be cut. */
static void print_kernel_log(void)
{
    static char log[KLOG_BYTES + 1];
    int bytes = klogctl(KLOG_READ_ALL, log, KLOG_BYTES);

    if (bytes > 0)
        printf("%.*s%s", bytes, log, log[bytes - 1] == '\n' ? "" : "\n");
}

void say_failed(const char *error, bool with_kernel_log)
{
    if (with_kernel_log)
        print_kernel_log();
    printf("{\"event\":\"failed\",\"error\":");
    print_string(error);
    printf("}\n");
    fflush(stdout);
}
