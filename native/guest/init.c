/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The first process of a Linux guest: sets up the machine, starts the server, and connects it to
 * the serial console until one of them ends. Then it switches the machine off.
 *
 * Output: the server's lines unchanged, `boot` when the machine is set up, `failed` after an error.
 * Lines that are not JSON are text for a log. Input: the time, once, and single bytes: `c` asks the
 * server for its counters (SIGUSR1), `q` for its end (SIGTERM).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "cmdline.h"
#include "console.h"
#include "machine.h"

#define SERVER "/server"
#define WORDS_BYTES 1024

/* The server's stderr, passed on line by line; the last line may explain its end. */
struct words {
    int fd;
    unsigned used;
    char line[WORDS_BYTES], last[WORDS_BYTES];
};

static _Noreturn void power_off(void)
{
    fflush(stdout);
    (void)tcdrain(STDOUT_FILENO);
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}

static _Noreturn void die(const char *error, bool with_kernel_log)
{
    say_failed(error, with_kernel_log);
    power_off();
}

static const char *read_cmdline(struct cmdline *cmdline)
{
    char text[CMDLINE_BYTES_MAX + 1];
    int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

    if (fd >= 0)
        close(fd);
    if (bytes < 0)
        return "cannot read /proc/cmdline";
    text[bytes] = '\0';
    return cmdline_parse(cmdline, text);
}

static void make_machine(struct cmdline *cmdline)
{
    const char *error = mount_all();
    const char *no_console = console_open(); /* if it is missing, this error is seen nowhere */

    if (error == NULL)
        error = no_console;
    if (error == NULL)
        error = read_cmdline(cmdline);
    if (error == NULL)
        error = load_modules();
    if (error == NULL && cmdline->driver != NULL)
        error = bind_nics(cmdline->driver);
    if (error == NULL && cmdline->address.s_addr != 0)
        error = bring_up(cmdline);
    if (error != NULL)
        die(error, true);
}

static pid_t start_server(struct cmdline *cmdline, const sigset_t *unblocked, int *stderr_fd)
{
    static char name[] = SERVER;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        die("cannot make a pipe for the server", true);
    cmdline->argv[0] = name;
    pid_t pid = fork();
    if (pid < 0)
        die("cannot start a process for the server", true);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        sigprocmask(SIG_SETMASK, unblocked, NULL);
        execv(SERVER, cmdline->argv);
        dprintf(STDERR_FILENO, "cannot start the server: %s\n", strerror(errno));
        _exit(127);
    }
    close(ends[1]);
    *stderr_fd = ends[0];
    return pid;
}

static void end_line(struct words *words)
{
    words->line[words->used] = '\0';
    words->used = 0;
    if (words->line[0] == '\0')
        return;
    memcpy(words->last, words->line, sizeof(words->last));
    printf("%s%s\n", words->line[0] == '{' ? " " : "", words->line);
    fflush(stdout);
}

/* Pass on what the server wrote. Returns false at the end. */
static bool pass_words(struct words *words)
{
    char piece[256];
    ssize_t bytes = read(words->fd, piece, sizeof(piece));

    for (ssize_t i = 0; i < bytes; i++) {
        if (piece[i] == '\n' || words->used == WORDS_BYTES - 1)
            end_line(words);
        if (piece[i] != '\n')
            words->line[words->used++] = piece[i];
    }
    return bytes > 0;
}

/* Report why the server ended, unless it was asked to, and switch off. */
static _Noreturn void finish(struct words *words, int status, bool asked)
{
    char error[WORDS_BYTES + 64];
    const char *last = words->last;

    while (pass_words(words)) /* the server has ended, so its end of the pipe is closed */
        ;
    if (words->used > 0)
        end_line(words);
    if (asked && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        power_off();
    if (WIFSIGNALED(status))
        snprintf(error, sizeof(error), "the server was killed by signal %d (%s)%s%s",
                 WTERMSIG(status), strsignal(WTERMSIG(status)), last[0] ? ": " : "", last);
    else
        snprintf(error, sizeof(error), "the server ended with exit code %d%s%s",
                 WEXITSTATUS(status), last[0] ? ": " : "", last);
    die(error, WIFSIGNALED(status));
}

/* Reap every child. Returns whether the server is among them. */
static bool reap(pid_t server, int signals, int *status)
{
    struct signalfd_siginfo info;
    bool ended = false;
    int each;

    (void)!read(signals, &info, sizeof(info));
    for (pid_t pid; (pid = waitpid(-1, &each, WNOHANG)) > 0;)
        if (pid == server) {
            *status = each;
            ended = true;
        }
    return ended;
}

/* Handle input bytes. Returns whether the end was requested. Other bytes (newlines) are ignored. */
static bool obey(pid_t server)
{
    char bytes[64];
    ssize_t nb = read(STDIN_FILENO, bytes, sizeof(bytes));
    bool asked = false;

    for (ssize_t i = 0; i < nb; i++) {
        if (bytes[i] == 'c')
            kill(server, SIGUSR1);
        if (bytes[i] == 'q') {
            kill(server, SIGTERM);
            asked = true;
        }
    }
    return asked;
}

int main(void)
{
    static struct cmdline cmdline;
    static struct words words;
    sigset_t child, before;
    bool asked = false;
    int status;

    make_machine(&cmdline);
    say_boot();
    if (!hear_time())
        power_off();
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, &before);
    int signals = signalfd(-1, &child, SFD_CLOEXEC);
    pid_t server = start_server(&cmdline, &before, &words.fd);
    struct pollfd fds[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                           {.fd = words.fd, .events = POLLIN},
                           {.fd = signals, .events = POLLIN}};
    for (;;) {
        if (poll(fds, sizeof(fds) / sizeof(fds[0]), -1) < 0 && errno != EINTR)
            die("cannot wait for the server", true);
        if (fds[1].revents != 0 && !pass_words(&words))
            fds[1].fd = -1;
        if (fds[0].revents != 0)
            asked = obey(server) || asked;
        if (fds[2].revents != 0 && reap(server, signals, &status))
            finish(&words, status, asked);
    }
}
