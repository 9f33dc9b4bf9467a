/* SPDX-License-Identifier: BSD-3-Clause */
/* The data process: start it, end it, report how it ended; see tender.h. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tender.h"

#define OVERFLOW_USER 65534u
#define EXIT_CANNOT_START 126
#define DATA_FD_ABOVE 64 /* descriptors are parked above this number while they are reordered */

static char sentence[256];

static const char *failed(const char *what)
{
    snprintf(sentence, sizeof(sentence), "%.150s: %s", what, strerror(errno));
    return sentence;
}

const char *data_open(struct data *data)
{
    *data = (struct data){.pid_fd = -1};
    data->page_fd = memfd_create("nearmetal-control", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (data->page_fd < 0 || ftruncate(data->page_fd, CONTROL_BYTES) != 0 ||
        fcntl(data->page_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        return failed("cannot make the control page");
    data->control = mmap(NULL, CONTROL_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, data->page_fd, 0);
    return data->control == MAP_FAILED ? failed("cannot map the control page") : NULL;
}

/* ---- in the child ---- */

/* Give the descriptors the numbers of control.h and close all others. First move them out of each
 * other's way. */
static bool place_descriptors(const int fds[], int image)
{
    int moved[CONTROL_FD_END];

    for (int i = CONTROL_FD_PAGE; i < CONTROL_FD_END; i++) {
        moved[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, DATA_FD_ABOVE);
        if (fds[i] >= 0 && moved[i] < 0)
            return false;
    }
    image = fcntl(image, F_DUPFD_CLOEXEC, DATA_FD_ABOVE);
    if (image < 0 || dup3(image, CONTROL_FD_END, O_CLOEXEC) < 0)
        return false;
    for (int i = CONTROL_FD_PAGE; i < CONTROL_FD_END; i++) {
        if (moved[i] < 0)
            close(i);
        else if (dup2(moved[i], i) < 0)
            return false;
    }
    for (int i = 0; i < CONTROL_FD_PAGE; i++)
        close(i);
    return syscall(SYS_close_range, CONTROL_FD_END + 1, ~0u, 0) == 0;
}

static bool become_overflow_user(void)
{
    return setgroups(0, NULL) == 0 && setresgid(OVERFLOW_USER, OVERFLOW_USER, OVERFLOW_USER) == 0 &&
           setresuid(OVERFLOW_USER, OVERFLOW_USER, OVERFLOW_USER) == 0;
}

/* As root: switch to user 65534. Always: no_new_privs, no capability, and ignore the terminal's
 * signals, which the tender handles. */
static bool give_up_rights(void)
{
    static const int ours[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGQUIT, SIGPIPE};
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct none_at_all[_LINUX_CAPABILITY_U32S_3] = {{0}};
    sigset_t none;

    for (unsigned i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        signal(ours[i], SIG_IGN);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* A root that may not switch users (a container's), or whose user namespace has no such user,
     * keeps its user. It loses its capabilities all the same, also across execve(2), because of
     * no_new_privs (Documentation/userspace-api/no_new_privs.rst). */
    if (geteuid() == 0 && !become_overflow_user() && errno != EPERM && errno != EINVAL)
        return false;
    return syscall(SYS_capset, &header, none_at_all) == 0 &&
           prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

static _Noreturn void become(const int fds[], int image, pid_t tender, struct control *control)
{
    char *const argv[] = {(char[]){"nearmetal-data"}, NULL};
    char *const envp[] = {NULL};

    control->setup.pid = (uint32_t)getpid();
    /* A change of user clears PR_SET_PDEATHSIG, so set it last. */
    if (place_descriptors(fds, image) && give_up_rights() &&
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == tender)
        (void)syscall(SYS_execveat, CONTROL_FD_END, "", argv, envp, AT_EMPTY_PATH);
    snprintf(control->said.error, CONTROL_ERROR_BYTES, "the image cannot be started: %s",
             strerror(errno));
    _exit(EXIT_CANNOT_START);
}

/* ---- in the tender ---- */

const char *data_start(struct data *data, const char *image, const struct vhost_front *front)
{
    const int fds[CONTROL_FD_END] = {[CONTROL_FD_PAGE] = data->page_fd,
                                     [CONTROL_FD_MEMORY] = front->memory_fd,
                                     [CONTROL_FD_KICK] = front->kick_fds[VHOST_FRONT_RX],
                                     [CONTROL_FD_KICK + 1] = front->kick_fds[VHOST_FRONT_TX],
                                     [CONTROL_FD_CALL] = front->call_fd};
    /* Open the image here: the data process could not reach it by its path. */
    int image_fd = open(image, O_RDONLY | O_CLOEXEC);
    pid_t tender = getpid();

    if (image_fd < 0) {
        snprintf(sentence, sizeof(sentence), "--image %.150s: %s", image, strerror(errno));
        return sentence;
    }
    data->pid = fork();
    if (data->pid == 0)
        become(fds, image_fd, tender, data->control);
    close(image_fd);
    if (data->pid < 0)
        return failed("cannot start a process");
    data->pid_fd = (int)syscall(SYS_pidfd_open, data->pid, 0);
    return data->pid_fd < 0 ? failed("cannot watch the data process") : NULL;
}

const char *data_end(struct data *data)
{
    struct control_said *said = &data->control->said;
    uint32_t state = atomic_load_explicit(&said->state, memory_order_acquire);
    char error[CONTROL_ERROR_BYTES];
    int status = 0;

    (void)waitpid(data->pid, &status, 0);
    data->pid = 0;
    if (WIFSIGNALED(status)) {
        const char *what = WTERMSIG(status) == SIGSYS
                               ? "made a system call that its filter forbids, and was killed"
                               : "was killed";
        snprintf(sentence, sizeof(sentence), "the data process %s (signal %d, SIG%s)", what,
                 WTERMSIG(status), sigabbrev_np(WTERMSIG(status)));
        return sentence;
    }
    if (WEXITSTATUS(status) == 0 && state == CONTROL_DONE)
        return NULL;
    memcpy(error, said->error, sizeof(error));
    error[sizeof(error) - 1] = '\0';
    if (error[0] != '\0')
        snprintf(sentence, sizeof(sentence), "%s", error);
    else
        snprintf(sentence, sizeof(sentence),
                 "the data process exited with code %d and gave no reason", WEXITSTATUS(status));
    return sentence;
}

uint64_t data_spent_ns(const struct data *data)
{
    struct timespec spent;
    clockid_t clock;

    if (clock_getcpuclockid(data->pid, &clock) != 0 || clock_gettime(clock, &spent) != 0)
        return 0;
    return (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
}

void data_close(struct data *data)
{
    if (data->pid > 0) {
        kill(data->pid, SIGKILL);
        (void)waitpid(data->pid, NULL, 0);
    }
    if (data->pid_fd >= 0)
        close(data->pid_fd);
    munmap(data->control, CONTROL_BYTES);
    close(data->page_fd);
}
